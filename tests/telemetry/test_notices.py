"""What an operator sees without doing anything: one line when something changes."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ways import DOORS, HELLO, SHAPES, run

from pilotlight import AllTargetsFailed, notices
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.routes.route import Route
from pilotlight.testing import Fails, FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault

NEVER = BreakerPolicy(minimum_calls=1000, consecutive_failures=1000, suspicion=False)
WARNED = {"pilotlight.route.failover", "pilotlight.route.back", "pilotlight.route.nobody"}
ALL = {*WARNED, "pilotlight.route.unsteady"}


def route_of(clock, *script, second="ok", **more):
    a = ScriptedTarget("a", *script, clock=clock, breaker=NEVER, **more)
    b = ScriptedTarget("b", second, clock=clock, breaker=NEVER, local=True)
    return Route("chat", (a, b), clock=clock)


def told(lines, *names) -> list[str]:
    """What is told of the route; all of it where no names are given."""
    return [each.getMessage() for each in lines.records if each.event_name in (names or ALL)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("door", DOORS)
def test_an_outage_is_two_lines_however_many_calls_it_has(clock, lines, door, shape):
    route = route_of(clock, *[Fault.OVERLOADED] * 50, "well")
    for _ in range(53):
        run(door, shape, route)
        clock.advance(2.0)
    first, back = told(lines)
    assert first == "failover chat: a -> b (overloaded, 1 attempt, 0.0 s)"
    assert back == "back chat: a answers again; 50 calls went elsewhere in 100 s"
    assert all(
        each.levelno < logging.WARNING for each in lines.records if each.event_name not in ALL
    )


def test_the_line_says_what_the_failure_cost(clock, lines):
    slow = Fails(Fault.OVERLOADED, takes=0.6)
    route = route_of(clock, slow, slow, "well", retry=RetryPolicy(max_retries=1, wait_initial=0.0))
    route.complete(HELLO)
    (line,) = told(lines)
    assert line == "failover chat: a -> b (overloaded, 2 attempts, 1.2 s)"
    (record,) = lines.named("pilotlight.route.failover")
    assert (record.levelname, record.route) == ("WARNING", "chat")
    assert (record.from_target, record.to_target) == ("a", "b")


def test_when_nobody_answers_it_is_an_error_once(clock, lines):
    route = route_of(clock, *[Fault.OVERLOADED] * 9, "well", second=Fault.TIMEOUT)
    for _ in range(9):
        with pytest.raises(AllTargetsFailed):
            route.complete(HELLO)
    route.complete(HELLO)
    first, back = told(lines)
    assert first == "nobody chat: no target answered (a overloaded; b timeout, 0.0 s)"
    assert back.startswith(
        "back chat: a answers again; 0 calls went elsewhere, 9 got no answer, in"
    )
    assert lines.named("pilotlight.route.nobody")[0].levelname == "ERROR"


@pytest.mark.parametrize("call", ["private", "unsupported", "too long"])
def test_a_call_that_can_not_be_sent_to_the_first_target_says_nothing_of_the_route(
    clock, lines, call
):
    a = ScriptedTarget("a", Fails(Fault.CONTEXT_EXCEEDED), clock=clock, lacks=["tools"])
    route = Route("chat", (a, ScriptedTarget("b", clock=clock, local=True)), clock=clock)
    more = {"private": {"private": True}, "unsupported": {"tools": [{"type": "function"}]}}
    for _ in range(3):
        route.complete(HELLO, **more.get(call, {}))
    assert told(lines) == []


@pytest.mark.parametrize("fault", [f for f in Fault if RULES[f].elsewhere is Elsewhere.YES])
def test_a_fault_that_says_nothing_of_the_target_is_no_change(clock, lines, fault):
    route_of(clock, fault, "well").complete(HELLO)
    assert bool(told(lines)) is (RULES[fault].breaker is not Effect.IGNORES)


def test_a_route_that_comes_and_goes_is_told_of_as_that(clock, lines):
    route = route_of(clock, *[Fault.OVERLOADED, "well"] * 50, *["well"] * 100)
    for _ in range(100):
        route.complete(HELLO)
        clock.advance(1.0)
    assert len(told(lines)) <= 5
    assert told(lines)[-1].startswith("unsteady chat: a fails now and then")
    for _ in range(70):
        route.complete(HELLO)
        clock.advance(1.0)
    assert len(told(lines, "pilotlight.route.back")) == len(
        told(lines, "pilotlight.route.failover", "pilotlight.route.unsteady")
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 90)), max_size=40))
def test_whatever_happens_the_last_line_is_true_and_the_counts_add_up(history):
    """A route that is away is known for it, and one whose first target is steady is not."""
    notices.reset()
    clock, heard = FakeClock(), []
    a, b = (
        ScriptedTarget("a", clock=clock, breaker=NEVER),
        ScriptedTarget("b", clock=clock, breaker=NEVER),
    )
    a.script = [("well" if first else Fault.OVERLOADED) for first, _, _ in history] or ["well"]
    b.script = [("well" if then else Fault.TIMEOUT) for first, then, _ in history if not first] or [
        "x"
    ]
    route = Route("chat", (a, b), clock=clock)
    handler = logging.Handler()
    handler.emit = heard.append
    log = logging.getLogger("pilotlight")
    log.addHandler(handler)
    try:
        for _, _, pause in history:
            try:
                route.complete(HELLO)
            except AllTargetsFailed:
                pass
            clock.advance(pause)
    finally:
        log.removeHandler(handler)
    lines = [each for each in heard if each.event_name in ALL]
    first_well = not history or history[-1][0]
    if not first_well:
        assert "chat" in notices.away
    backs = [each for each in lines if each.event_name == "pilotlight.route.back"]
    counted = sum(each.elsewhere + each.unanswered for each in backs)
    if "chat" not in notices.away:
        assert counted == sum(not first for first, _, _ in history)
    assert all(one.event_name != two.event_name for one, two in zip(lines, lines[1:], strict=False))


def test_threads_that_fail_together_tell_it_once(lines):
    a = ScriptedTarget("a", Fault.OVERLOADED, breaker=NEVER)
    route = Route("chat", (a, ScriptedTarget("b", breaker=NEVER)))
    threads = [threading.Thread(target=route.complete, args=(HELLO,)) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(told(lines)) == 1


def test_a_breaker_is_told_when_it_opens_and_when_it_closes(clock, lines):
    a = ScriptedTarget("gpt", *[Fault.OVERLOADED] * 6, "well", clock=clock)
    from pilotlight.registry import Endpoint, Registry

    a.health = Registry(lambda: 0.0).health(
        Endpoint("http://x", "openai/x", "", clock), "gpt", BreakerPolicy(minimum_calls=100, suspicion=False), RetryPolicy(), None, 0
    )  # fmt: skip
    route = Route("chat", (a, ScriptedTarget("b", clock=clock)), clock=clock)
    for _ in range(5):
        route.complete(HELLO)
    for _ in range(2):
        clock.advance(61.0)
        route.complete(HELLO)
    moves = lines.named("pilotlight.breaker.transition")
    assert [(each.levelname, each.getMessage()) for each in moves] == [
        ("WARNING", "breaker gpt: opened (5 consecutive failures), next trial in 16 s"),
        ("INFO", "breaker gpt: half-open: a trial is let through"),
        ("INFO", "breaker gpt: opened (its trial failed), next trial in 8.0 s"),
        ("INFO", "breaker gpt: half-open: a trial is let through"),
        ("WARNING", "breaker gpt: closed again"),
    ]


PROGRAM = """
import {setup}
{more}
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault
a = ScriptedTarget("gpt", Fault.OVERLOADED, Fault.OVERLOADED, "well")
route = Route("chat", (a, ScriptedTarget("local")))
for _ in range(4):
    route.complete([dict(role="user", content="hello")])
"""
DJANGO = "from django.conf import settings; settings.configure(); django.setup()"


@pytest.mark.parametrize(("setup", "more"), [("sys", ""), ("django", DJANGO)])
def test_a_process_that_has_set_up_nothing_shows_it_on_stderr(setup, more):
    """Django's default settings are such a one."""
    pytest.importorskip(setup)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup, more=more)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    first, back = done.stderr.splitlines()
    assert first.startswith("failover chat: gpt -> local (overloaded, 1 attempt, ")
    assert back.startswith("back chat: gpt answers again; 2 calls went elsewhere in ")


def test_switched_off_nothing_is_told(clock, lines, monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_TELEMETRY", "off")
    route_of(clock, Fault.OVERLOADED, "well").complete(HELLO)
    assert lines.records == []
