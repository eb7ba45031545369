"""Real gunicorn and uvicorn: the first piece arrives while the model still holds the rest back."""

from __future__ import annotations

import http.client
import json

import pytest
from servers import get, serving

from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes
pytest.importorskip("gunicorn")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def chaos():
    """A model that never stops talking."""
    with ChaosServer(reply="word " * 20_000, token_latency=0.01, models=["llama3.2"]) as server:
        yield server


@pytest.fixture(scope="module", params=["gunicorn-threads", "uvicorn"])
def port(request, chaos):
    models = {"TESTAPP_OPENAI": chaos.base("cloud") + "/v1", "TESTAPP_OLLAMA": chaos.base("house")}
    with serving(request.param, **models) as number:
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
