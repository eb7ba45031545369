"""Workers of one site and one dead provider: found out together, tried by one, closed by all.

Under four sync workers of gunicorn and two async ones of uvicorn, with a store that dies as well.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest
from servers import PATIENCE, Site, site

from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes
pytest.importorskip("gunicorn")
pytest.importorskip("uvicorn")
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")

MINIMUM_CALLS, BREAK = 5, 0.5
BREAKER = {"minimum_calls": MINIMUM_CALLS, "reset_timeout": BREAK, "max_reset_timeout": BREAK}
KINDS = pytest.mark.parametrize(
    "kind, workers, path",
    [("gunicorn-preload", 4, "/ask"), ("uvicorn", 2, "/aask")],
    ids=["gunicorn", "uvicorn"],
)


@pytest.fixture
def servers():
    with ChaosServer(models=["llama3.2"]) as primary, ChaosServer(models=["llama3.2"]) as backup:
        yield primary, backup


@contextmanager
def redis_server(folder):
    """A Redis on loopback that keeps nothing; gives its address and a way to kill and start it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running.append(subprocess.Popen(command, **quiet))

    def kill() -> None:
        while running:
            one = running.pop()
            one.kill()  # -9
            one.wait(PATIENCE)

    start()
    try:
        yield f"redis://127.0.0.1:{port}/0", kill, start
    finally:
        kill()


def settings(servers, state: str, breaker=BREAKER) -> dict[str, object]:
    primary, backup = servers
    common = {"model": "ollama/llama3.2", "breaker": breaker, "health": "off", "warm": "never"}
    return {
        "LOG_EVENTS": False,
        "STATE": state,
        "TARGETS": {
            "gpt": {"api_base": primary.base("primary"), **common},
            "local": {"api_base": backup.base("backup"), **common},
        },
        "ROUTES": {"default": {"targets": ["gpt", "local"], "total_timeout": 30}},
        "RETRY": {"max_retries": 0},
    }


def one_trial_a_break(primary: ChaosServer, after: int) -> None:
    """Three more trials come, one by one: between two of them lies a whole break."""
    assert primary.wait_hits("primary", after + 3, PATIENCE)
    times = [record.time for record in primary.requests("primary")][after : after + 3]
    assert all(later - earlier > BREAK - 0.05 for earlier, later in pairwise(times)), times


def outage(servers, running: Site, lose, regain) -> None:
    """Play it: dead, the store lost, the store back, healed."""
    primary, _ = servers
    with running.visited(2 * running.workers, 0.05):
        primary.fault("primary", "server_error")
        running.wait("open half-open closed")
        known = primary.hits("primary") + running.workers  # a trial may be on its way
        one_trial_a_break(primary, known)
        lose()
        regain()
        one_trial_a_break(primary, primary.hits("primary") + running.workers)
        primary.heal("primary")
        running.wait("closed open half-open", since=time.time())
    assert running.failed() == []
    assert len(running.replies) > 20


@KINDS
def test_a_sqlite_file_is_deleted_in_the_outage(kind, workers, path, servers, tmp_path):
    board = tmp_path / "board.db"

    def regain() -> None:
        nap = threading.Event()
        for _ in range(int(PATIENCE * 20)):
            if board.exists():
                return
            nap.wait(0.05)
        raise AssertionError("nobody has made the board anew")

    given = settings(servers, f"sqlite:///{board}")
    with site(kind, workers, given, tmp_path, path) as running:
        outage(servers, running, board.unlink, regain)


@pytest.mark.skipif(REDIS is None, reason="no redis-server on PATH")
@KINDS
def test_redis_is_killed_in_the_outage_and_comes_back(kind, workers, path, servers, tmp_path):
    with redis_server(str(tmp_path)) as (url, kill, start):

        def lose() -> None:
            kill()
            running.wait("gone back")

        def regain() -> None:
            start()
            running.wait("back gone")

        with site(kind, workers, settings(servers, url), tmp_path, path) as running:
            outage(servers, running, lose, regain)


@pytest.mark.parametrize("kind, workers, path", [("gunicorn", 4, "/ask"), ("uvicorn", 2, "/aask")])
def test_each_worker_asks_a_dead_provider_minimum_calls_times_at_most(
    kind, workers, path, servers, tmp_path
):
    primary, _ = servers
    primary.fault("primary", "server_error")  # dead from the first call on
    lasting = {"minimum_calls": MINIMUM_CALLS, "reset_timeout": 60.0}  # no trial comes meanwhile
    given = settings(servers, f"sqlite:///{tmp_path}/board.db", lasting)
    with (
        site(kind, workers, given, tmp_path, path, visitors=workers) as running,
        running.visited(workers, 0.02),
    ):
        running.wait("open half-open closed")
    assert primary.hits("primary") <= MINIMUM_CALLS * workers
    assert {json.loads(body)["served_by"] for _, body in running.replies} == {"local"}
