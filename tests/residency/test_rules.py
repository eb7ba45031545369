"""Each refusal is an event with the rule that refused, and no error in the log."""

from __future__ import annotations

import logging

import pytest

import pilotlight
from pilotlight import load
from pilotlight.errors import PilotlightError
from pilotlight.events import Alert, AttemptEnded, ResidencyRefused, TargetSkipped
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.residency_rules import MEANING, ResidencyRule
from pilotlight_chaos import ChaosServer
from tests.residency.calls import call
from tests.residency.guard import MESSAGES, Parrot, watched


@pytest.fixture(scope="module")
def running():
    with ChaosServer(models=["llama3.2:3b"]) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture(autouse=True)
def told(caplog):
    """Every event; none of the tests may leave an error in the log."""
    events = []
    pilotlight.listeners.append(events.append)
    with caplog.at_level(logging.DEBUG, "pilotlight"):
        yield events
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def refusals(told):
    return [(each.target, each.rule) for each in told if isinstance(each, ResidencyRefused)]


def route(*targets):
    named = {f"t{n}": target for n, target in enumerate(targets)}
    routes = {"chat": {"targets": list(named)}}
    return load({"targets": named, "routes": routes, "retry": {"max_retries": 0}})


def local(server, host="127.0.0.1", **more):
    base = f"http://{host}:{server.port}/p/local"
    return {"model": "ollama/llama3.2:3b", "api_base": base, **more}


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ({"model": "openai/gpt-4o"}, "not_local"),
        ({"model": "ollama/llama3.2", "api_base": "http://192.0.2.7:11434"}, "not_local"),
        ({"model": "openai/x", "api_base": "http://127.0.0.1:9/v1"}, "unlisted_server"),
        ({"model": "ollama/gpt-oss:120b-cloud"}, "cloud_name"),
        (
            {
                "model": "ollama/gpt-oss:cloud",
                "api_base": "http://10.0.0.7:11434",
                "local_addresses": ["10.0.0.7"],
            },
            "cloud_name",
        ),
    ],
)
def test_before_a_target_is_asked(server, told, target, rule):
    with route(target, local(server)) as pilot:
        receipt = pilot.route("chat").complete(MESSAGES, private=True).receipt
    assert refusals(told) == [("t0", rule)]
    assert receipt.skipped[0].detail == rule
    passed = next(each for each in told if isinstance(each, TargetSkipped))
    refused = next(each for each in told if isinstance(each, ResidencyRefused))
    assert (refused.call_id, refused.route) == (passed.call_id, passed.route)


def test_each_target_of_a_route_that_has_no_local_one(told):
    with (
        route({"model": "openai/gpt-4o"}, {"model": "ollama/x:cloud"}) as pilot,
        pytest.raises(pilotlight.ConfigError),
    ):
        pilot.route("chat").complete(MESSAGES, private=True)
    assert refusals(told) == [("t0", "not_local"), ("t1", "cloud_name")]
    assert len({each.call_id for each in told}) == 1


@pytest.mark.parametrize("door", ["client", "litellm"])
@pytest.mark.parametrize("shape", ["complete", "acomplete", "stream", "astream"])
def test_by_the_servers_own_word(server, told, door, shape):
    server.fault("local", "cloud_stub")
    with route(local(server)) as pilot, pytest.raises(PilotlightError):
        call(door, shape, pilot, private=True)
    assert refusals(told) == [("t0", "remote_host")]


def test_by_what_a_health_check_has_found(server, told):
    with route(local(server)) as pilot:
        pilot.target("t0").health.away = True
        with pytest.raises(PilotlightError):
            pilot.route("chat").complete(MESSAGES, private=True)
    assert refusals(told) == [("t0", "remote_host")]
    assert server.requests(probes=True) == []


def test_by_an_answer_that_asks_to_sign_in(told, monkeypatch):
    parrot = Parrot()
    monkeypatch.setattr(
        "tests.residency.guard._whole",
        lambda kind, words: (401, "application/json", '{"error": "you need to be signed in"}'),
    )
    try:
        target = {"model": "ollama/m", "api_base": f"http://127.0.0.1:{parrot.port}"}
        with route(target) as pilot, pytest.raises(PilotlightError):
            pilot.route("chat").complete(MESSAGES, private=True)
    finally:
        parrot.close()
    assert refusals(told) == [("t0", "cloud_reply")]


@pytest.mark.parametrize("private", [True, False])
def test_at_the_socket_and_then_for_the_targets_behind(server, told, private):
    closed = {"model": "openai/gpt-4o", "api_base": f"{server.base('closed')}/v1", "api_key": "k"}
    with route(local(server, "localhost"), closed) as pilot, watched() as guard:
        guard.names["localhost"] = ["192.0.2.7"]
        with pytest.raises(pilotlight.AllTargetsFailed):
            pilot.route("chat").complete(MESSAGES, private=private)
    assert refusals(told) == [("t0", "address_mismatch"), ("t1", "after_boundary")]
    assert guard.address_mismatch == []
    assert server.hits("closed") == 0
    assert [each.reason for each in told if isinstance(each, Alert)] == ["privacy_boundary"]


def test_where_a_redirect_leads(told):
    parrot = Parrot()
    parrot.kind = "redirect"
    try:
        target = {"model": "ollama/m", "api_base": f"http://127.0.0.1:{parrot.port}"}
        with route(target) as pilot, watched() as guard, pytest.raises(PilotlightError):
            call("http", "complete", pilot, private=True)
    finally:
        parrot.close()
    assert refusals(told) == [("t0", "foreign_host")]
    assert guard.address_mismatch == []
    assert "elsewhere.example" not in guard.lookups


def test_by_the_word_of_a_script_or_a_function(told, clock):
    target = ScriptedTarget("home", Fault.PRIVACY_BOUNDARY, local=True, clock=clock)
    with pytest.raises(PilotlightError):
        Route("chat", (target,), clock=clock).complete(MESSAGES, private=True)
    assert refusals(told) == [("home", "declared")]


def test_other_faults_are_no_refusals(server, told):
    server.fault("local", "server_error")
    with route(local(server)) as pilot, pytest.raises(PilotlightError):
        pilot.route("chat").complete(MESSAGES, private=True)
    assert any(isinstance(each, AttemptEnded) for each in told)
    assert refusals(told) == []


def test_every_rule_has_a_meaning():
    assert list(MEANING) == list(ResidencyRule)
