"""A real Prometheus and a real Phoenix on loopback, and an application that feeds both."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "examples" / "observability"
PHOENIX = ROOT / ".venv-phoenix" / "bin" / "phoenix"
INSTRUMENTORS = ROOT / ".venv-instrumentors"
PATIENCE = 180.0  # seconds: Phoenix takes half a minute to start on a small machine
T = TypeVar("T")
MISSING = {
    "prometheus": "Prometheus with promtool is not installed: apt-get install prometheus, or "
    "prometheus.io/download",
    "phoenix": f"Phoenix is not installed in {PHOENIX.parents[1].name}: make test-backends does so",
    "instrumentors": f"{INSTRUMENTORS.name} is missing: make test-backends makes it",
}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to pass for want of a back end: who asks for these tests gets them or an error."""
    wanted = {mark.name for item in session.items for mark in item.iter_markers()}
    there = {"instrumentors": INSTRUMENTORS.exists()} if "instrumentors" in wanted else {}
    if "backends" in wanted:
        there["prometheus"] = bool(shutil.which("prometheus") and shutil.which("promtool"))
        there["phoenix"] = PHOENIX.exists()
    if lacking := [text for name, text in MISSING.items() if not there.get(name, True)]:
        raise pytest.UsageError("\n".join(lacking))


def until(ask: Callable[[], T | None], what: str) -> T:
    """Ask another process until it says something; it tells nobody when it is ready."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if found := ask():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {PATIENCE:.0f} s")


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def up(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def ports() -> list[int]:
    """Of Phoenix (two), of Prometheus, and of the application's metrics."""
    return free_ports(4)


@pytest.fixture(scope="session")
def phoenix(ports, tmp_path_factory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("phoenix")
    settings = {
        "PHOENIX_WORKING_DIR": str(home),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(ports[0]),
        "PHOENIX_GRPC_PORT": str(ports[1]),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (home / "log").open("w") as log:
        with running(str(PHOENIX), "serve", env=kept | settings, stdout=log, stderr=log):
            url = f"http://127.0.0.1:{ports[0]}"
            until(lambda: up(f"{url}/healthz"), "Phoenix")
            with httpx.Client(base_url=url, trust_env=False) as client:
                yield client


def hurried(text: str) -> str:
    """The rules, with a second for each time that a state must last."""
    return re.sub(r"for: \d+m", "for: 1s", text)


@pytest.fixture(scope="session")
def prometheus(ports, tmp_path_factory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("prometheus")
    (home / "alerts.yml").write_text(hurried((RULES / "alerts.yml").read_text()))
    settings = (RULES / "prometheus.yml").read_text().replace("9464", str(ports[3]))
    hasty = "scrape_interval: 1s\n  evaluation_interval: 1s"
    (home / "prometheus.yml").write_text(settings.replace("scrape_interval: 15s", hasty))
    command = ["prometheus", f"--config.file={home}/prometheus.yml"]
    command += [f"--storage.tsdb.path={home}/data", f"--web.listen-address=127.0.0.1:{ports[2]}"]
    with (home / "log").open("w") as log, running(*command, stdout=log, stderr=log):
        url = f"http://127.0.0.1:{ports[2]}"
        until(lambda: up(f"{url}/-/ready"), "Prometheus")
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield client


class Shop:
    """The application of `app.py`, which plays a round of a scenario when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.tokens = 0

    def play(self, scenario: str) -> str:
        """Return the trace of what was played."""
        self._process.stdin.write(f"{scenario}\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        self.tokens = told["tokens"]
        return told["trace"]


@pytest.fixture(scope="session")
def shop(ports, phoenix) -> Iterator[Shop]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PILOTLIGHT_", "OTEL_"))}
    command = [sys.executable, "-m", "tests.backends.app"]
    command += [str(phoenix.base_url).rstrip("/"), str(ports[3])]
    env = kept | {"OTEL_METRICS_EXPORTER": "none"}  # Phoenix takes traces only
    pipe = subprocess.PIPE
    with running(*command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe) as process:
        yield Shop(process)
