"""A target that is there for embeddings is checked, warmed and tried as one."""

from __future__ import annotations

import pytest

import pilotlight
from pilotlight.core.provider import Timeouts
from pilotlight.health import loading
from pilotlight.health.checks import check_target, embeds
from pilotlight.health.verdict import learn, try_again
from pilotlight.testing import FakeClock
from pilotlight_chaos import ChaosServer, LocalModel

MODEL = LocalModel("bge-m3", capabilities=("embedding",), family="bert")


@pytest.fixture
def server():
    with ChaosServer(models=[MODEL]) as running:
        yield running


def target_of(server, clock=None, **more):
    target = {"model": "ollama/bge-m3", "api_base": server.base("ollama"), "health": "off", **more}
    given = {} if clock is None else {"clock": clock}
    return pilotlight.load({"targets": {"t": target}}, **given)


def asked(server):
    return [each.path for each in server.requests("ollama") if each.of_model]


def test_no_problem_is_seen_in_a_declared_embedder(server):
    with target_of(server) as plain, target_of(server, space="bge-m3") as declared:
        assert "can't chat" in check_target(plain.target("t")).problem
        assert check_target(declared.target("t")).problem is None


def test_it_is_loaded_by_a_request_for_no_vectors(server):
    with target_of(server, space="bge-m3") as app:
        assert loading.load(app.target("t"), "15m", Timeouts()) is None
        assert asked(server) == ["/api/embed"]
        assert check_target(app.target("t")).state == "loaded"


def test_it_is_tried_by_one_vector(server):
    clock = FakeClock()
    with target_of(server, clock, breaker={"minimum_calls": 1}) as app:
        target = app.target("t")
        assert loading.load(target, "15m", Timeouts()) is not None, "by a chat it can't be"
        check = check_target(target)
        target.health.check = check
        learn([target], check)
        assert embeds(target)
        assert loading.load(target, "15m", Timeouts()) is None
        target.health.breaker.acquire(1.0).failure()
        clock.advance(20.0)
        try_again(target, check_target(target))
        assert target.health.breaker.current_state == "closed"
        assert asked(server) == ["/api/chat", "/api/embed", "/api/embed"]
