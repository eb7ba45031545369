"""The gateway beside a bare relay: calls a second, a call's time, a first byte, memory of streams.

    python -m benchmarks.gateway              about two minutes

Both have two workers, answer from the same canned provider, and are asked from another process
over connections that are kept.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.canned import canned

ROUNDS, SECONDS, CONNECTIONS, WORKERS = 5, 3.0, 32, 2
STREAMS = 1000


def main() -> None:
    """Measure and print."""
    with ExitStack() as stack:
        provider = stack.enter_context(canned())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sites = {
            "gateway": stack.enter_context(_gateway(folder, f"{provider}/0/0")),
            "relay": stack.enter_context(_relay(f"{provider}/0/0")),
        }
        for title, asked in (
            (f"calls a second, {CONNECTIONS} connections", {"connections": CONNECTIONS}),
            ("one connection", {"connections": 1}),
            ("a stream's first byte, one connection", {"connections": 1, "stream": True}),
        ):
            print(f"\n{title}")
            _compare(sites, {"stream": False, "seconds": SECONDS, **asked})
        print(f"\nmemory of {STREAMS} streams that wait")
        print(f"  {_memory(folder, provider):.0f} KB a stream")


def _compare(sites: dict[str, str], asked: dict[str, Any]) -> None:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in sites}
    for _ in range(ROUNDS):
        for name, url in sites.items():
            found[name].append(_load({"url": url, **asked}))
    rates = {name: [each["a_second"] for each in rounds] for name, rounds in found.items()}
    medians = {name: [each["median"] for each in rounds] for name, rounds in found.items()}
    for name in sites:
        rate, took = statistics.median(rates[name]), statistics.median(medians[name])
        print(f"  {name:8} {rate:7.0f} a second, median {took * 1000:6.2f} ms")
    share = statistics.median(a / b for a, b in zip(rates["gateway"], rates["relay"], strict=True))
    more = statistics.median(
        a - b for a, b in zip(medians["gateway"], medians["relay"], strict=True)
    )
    print(f"  the gateway has {share:.2f} x the relay's throughput, {more * 1000:+.2f} ms a call")


def _load(given: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.gateway_load", json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextmanager
def _gateway(folder: Path, provider: str, workers: int = WORKERS) -> Iterator[str]:
    path = folder / "pilotlight.toml"
    path.write_text(
        f'[targets.gpt]\nmodel = "openai/gpt-4o"\napi_base = "{provider}/v1"\napi_key = "sk-x"\n'
        '[targets.gpt.timeout]\nfirst_token = "600s"\nbetween_tokens = "600s"\ntotal = "600s"\n'
        '[targets.local]\nmodel = "ollama/llama3.2"\n'
        '[routes.chat]\ntargets = ["gpt", "local"]\n[serve]\nmax_connections = 3000\n'
    )
    port = _free_port()
    command = [sys.executable, "-m", "pilotlight", "--config", str(path), "serve"]
    with _running([*command, f"--port={port}", f"--workers={workers}", "--no-access-log"], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _relay(provider: str) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.relay", str(port), str(WORKERS)]
    with _running(command, port, RELAY_TO=provider):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], port: int, **more: str) -> Iterator[int]:
    environment = {**os.environ, "PILOTLIGHT_BACKGROUND": "off", **more}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _listens(port))
        time.sleep(2)  # for the other workers
        yield server.pid
    finally:
        server.terminate()
        server.wait(30)


def _memory(folder: Path, provider: str) -> float:
    """Return the KB that each waiting stream takes over the idle process."""
    with _gateway(folder, f"{provider}/0/600000", workers=1) as url:
        pid = _pid_of(url)
        before = _resident(pid)
        given = {"idle": True, "url": url, "connections": STREAMS, "seconds": 3}
        command = [sys.executable, "-m", "benchmarks.gateway_load", json.dumps(given)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
            assert driver.stdout is not None
            json.loads(driver.stdout.readline())
            return (_resident(pid) - before) / STREAMS


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def _pid_of(url: str) -> int:
    import httpx

    return int(httpx.get(f"{url}/status.json", trust_env=False).json()["worker"])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise RuntimeError("a server does not listen")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
