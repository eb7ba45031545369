"""Real gunicorn and uvicorn: the first piece arrives while the model still holds the rest back."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes
HERE = Path(__file__).parent
pytest.importorskip("gunicorn")
pytest.importorskip("uvicorn")

COMMANDS = {
    "gunicorn": ["gunicorn", "-k", "gthread", "--threads", "4", "testapp.wsgi"],
    "uvicorn": ["uvicorn", "--log-level", "warning", "testapp.asgi:application"],
}


def start(kind: str, env: dict[str, str], listening: socket.socket) -> subprocess.Popen[bytes]:
    """Start a server on a socket that listens already: nobody has to wait for it."""
    number = listening.fileno()
    where = ["--bind", f"fd://{number}"] if kind == "gunicorn" else ["--fd", str(number)]
    return subprocess.Popen(
        [sys.executable, "-m", *COMMANDS[kind], *where],
        env=env,
        cwd=HERE,
        pass_fds=[number],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def serving(kind: str, chaos):
    """Run the site under a real server, which ends without waiting for its streams; give its port."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "testapp.settings",
        "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)]),
        "TESTAPP_OPENAI": chaos.base("cloud") + "/v1",
        "TESTAPP_OLLAMA": chaos.base("house"),
        "PILOTLIGHT_BACKGROUND": "off",
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(kind, env, listening)
        try:
            yield listening.getsockname()[1]
        finally:
            process.send_signal(signal.SIGQUIT if kind == "gunicorn" else signal.SIGKILL)
            process.wait(30)  # gunicorn's master kills its workers; a stalled stream would hold it


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


@pytest.fixture(scope="module")
def chaos():
    """A model that never stops talking."""
    with ChaosServer(reply="word " * 20_000, token_latency=0.01, models=["llama3.2"]) as server:
        yield server


@pytest.fixture(scope="module", params=COMMANDS)
def port(request, chaos):
    with serving(request.param, chaos) as number:
        yield number


@pytest.fixture(autouse=True)
def _afresh(chaos):
    chaos.reset()


PATHS = pytest.mark.parametrize("path", ["/stream", "/astream"])


@PATHS
def test_a_client_that_leaves_gives_the_place_back_and_is_nobodys_failure(path, port, chaos):
    for _ in range(4):  # as many as there are places
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.read1(1)
        connection.close()
        reply.close()
    assert chaos.wait_for(lambda: len(chaos.requests("cloud")) == 4)
    assert chaos.wait_idle("cloud")
    assert [each.outcome for each in chaos.requests("cloud")] == ["disconnected"] * 4
    assert json.loads(get(port, "/inside")[1]) == {"inside": 0, "strain": 0.0}


@PATHS
def test_the_first_piece_arrives_while_the_model_holds_the_rest_back(path, port, chaos):
    chaos.fault("cloud", "stall", after=2)  # two pieces, then nothing, for ever
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    reply = connection.getresponse()
    assert reply.read1(1)
    assert chaos.counters("cloud").in_flight == 1
    connection.close()
    reply.close()
