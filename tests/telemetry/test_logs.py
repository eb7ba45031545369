"""Log lines: levels, keys, whose ids, and the manners of a library."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from ways import HELLO

import pilotlight
from pilotlight import events
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import AllTargetsFailed, ConfigError
from pilotlight.routes.route import Route
from pilotlight.telemetry import listener, logs, names
from pilotlight.testing import Fails, ScriptedTarget
from pilotlight.vocabulary.faults import Fault


@pytest.fixture
def route(clock):
    a = ScriptedTarget("a", Fault.SERVER_ERROR, clock=clock, retry=RetryPolicy(max_retries=1))
    return Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock)


def told(lines) -> list[tuple[str, str]]:
    return [(each.levelname, each.event_name) for each in lines.records]


def test_a_failover_is_told_in_order_each_thing_once(route, lines):
    route.complete(HELLO)
    assert told(lines) == [
        ("INFO", "pilotlight.retry"),
        ("INFO", "pilotlight.attempt.failed"),
        ("INFO", "pilotlight.failover"),
        ("WARNING", "pilotlight.route.failover"),
        ("INFO", "pilotlight.call.completed"),
    ]
    retry, failed, moved, _, done = lines.records
    assert moved.getMessage() == "chat: a -> b (server_error)"
    assert failed.getMessage() == "chat: a failed (server_error, pilotlight.errors.ProviderFault)"
    assert (retry.error_type, retry.retries) == ("pilotlight.errors.ProviderFault", 1)
    assert (failed.target, failed.attempt, failed.role) == ("a", 0, "primary")
    assert (failed.provider, failed.model, failed.reason) == ("scripted", "a", "server_error")
    assert (moved.from_target, moved.to_target, moved.route) == ("a", "b", "chat")
    assert (done.outcome, done.attempts, done.failovers) == ("failover", 2, 1)
    assert not hasattr(retry, "trace_id")  # nobody traces here


def test_when_all_is_well_only_debug_is_written(clock, lines):
    Route("chat", (ScriptedTarget("a", clock=clock),), clock=clock).complete(HELLO)
    assert told(lines) == [("DEBUG", "pilotlight.call.completed")]


def test_what_residency_refuses_is_told_with_its_rule_and_is_no_error(clock, lines):
    hosted, home = ScriptedTarget("gpt"), ScriptedTarget("home", local=True, clock=clock)
    Route("chat", (hosted, home), clock=clock).complete(HELLO, private=True)
    (line,) = lines.named("pilotlight.residency.refused")
    assert (line.levelname, line.target, line.rule) == ("INFO", "gpt", "not_local")
    assert all(each.levelno < logging.ERROR for each in lines.records)


def test_a_route_without_a_local_target_tells_each_refusal(clock, lines):
    listener.awaken()
    route = Route("chat", (ScriptedTarget("gpt"), ScriptedTarget("claude")), clock=clock)
    with pytest.raises(ConfigError):
        route.complete(HELLO, private=True)
    refused = lines.named("pilotlight.residency.refused")
    assert [(each.route, each.target, each.rule) for each in refused] == [
        ("chat", "gpt", "not_local"),
        ("chat", "claude", "not_local"),
    ]


def test_an_exhausted_call_is_an_error(clock, lines):
    route = Route("chat", (ScriptedTarget("a", Fault.TIMEOUT, clock=clock),), clock=clock)
    with pytest.raises(AllTargetsFailed):
        route.complete(HELLO)
    assert told(lines) == [
        ("ERROR", "pilotlight.route.nobody"),
        ("INFO", "pilotlight.attempt.failed"),
        ("INFO", "pilotlight.call.exhausted"),
    ]


def test_a_broken_stream_and_a_skip_have_lines_of_their_own(clock, lines):
    broken = Fails(Fault.STREAM_INTERRUPTED, after="once ")
    a, b = ScriptedTarget("a", broken, clock=clock), ScriptedTarget("b", clock=clock)
    b.health.breaker.trip("forced", 30.0)
    with pytest.raises(pilotlight.StreamInterrupted):
        list(Route("chat", (b, a), clock=clock).stream(HELLO))
    (skip,) = lines.named("pilotlight.target.skipped")
    assert (skip.levelname, skip.target, skip.reason) == ("INFO", "b", "breaker_open")
    assert lines.named("pilotlight.stream.interrupted")[0].levelname == "INFO"


def test_the_ids_are_those_of_the_span_that_it_belongs_to(route, spy, lines):
    with spy.tracer.start_as_current_span("the request"):
        route.complete(HELLO)
    (call,), leg = spy.calls, spy.legs[0]
    ids = {
        "pilotlight.retry": leg,
        "pilotlight.attempt.failed": leg,
        "pilotlight.failover": call,
        "pilotlight.call.completed": call,
    }
    for line in lines.records:
        if line.event_name == "pilotlight.route.failover":
            continue  # of the route, and of no call's
        span = ids[line.event_name]
        assert line.trace_id == f"{span.context.trace_id:032x}"
        assert line.span_id == f"{span.context.span_id:016x}"


def test_span_events_can_be_switched_off(route, monkeypatch, lines):
    from pilotlight.telemetry import environment
    from tests.telemetry.spy import Spy

    monkeypatch.setenv("PILOTLIGHT_SPAN_EVENTS", "0")
    spy = Spy()
    monkeypatch.setattr(environment, "signals", lambda: spy.signals)
    route.complete(HELLO)
    assert [list(span.events) for span in spy.spans] == [[], [], []]
    assert lines.named("pilotlight.failover")[0].trace_id
    spy.close()


def test_every_line_of_the_table_can_be_written(lines):
    """No key of ours is one that stdlib keeps for itself."""
    for row in names.HAPPENINGS:
        keys = (*row.keys, "route", "target")  # these are told of every call's
        logs.say(row, dict.fromkeys(keys, "x"))
        (line,) = lines.named(row.name)
        assert (line.levelno, line.name) == (row.level, row.logger)
        assert "?" not in line.getMessage()


def test_what_the_application_binds_comes_along_and_can_not_break_a_line(route, lines):
    with structlog.contextvars.bound_contextvars(request="r1", name="theirs", args="theirs"):
        route.complete(HELLO)
    line = lines.records[0]
    assert (line.request, line.name_, line.args_) == ("r1", "theirs", "theirs")
    assert not structlog.is_configured()


def test_an_application_of_structlogs_gets_json(route, lines):
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(),
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
        )
    )
    logging.getLogger().addHandler(handler)
    try:
        route.complete(HELLO)
        events.alert("gpt", "auth_failed", "the key is refused")
    finally:
        logging.getLogger().removeHandler(handler)
    *_, done, alert = map(json.loads, out.getvalue().splitlines())
    assert (done["event_name"], done["level"], done["failovers"]) == (
        "pilotlight.call.completed",
        "info",
        1,
    )
    assert alert["event"] == "gpt: auth_failed: the key is refused"  # once, and with its fields
    assert (alert["target"], alert["reason"]) == ("gpt", "auth_failed")


def test_checks_and_warm_ups_have_lines(lines):
    for event in (
        events.HealthChecked("local", "loaded", 0.1, None),
        events.HealthChecked("local", "unreachable", 0.1, "no answer"),
        events.HealthChecked("local", "unreachable", 0.1, "no answer"),
        events.HealthChecked("local", "installed", 0.1, None),
        events.WarmUp("local", "started"),
        events.WarmUp("local", "done", 2.0),
    ):
        listener.listen(event)
    assert [(each.levelname, each.getMessage()) for each in lines.records] == [
        ("WARNING", "health of local: unreachable"),
        ("INFO", "health of local: well again"),
        ("INFO", "warm-up of local: started (0.0 s)"),
        ("INFO", "warm-up of local: done (2.0 s)"),
    ]
