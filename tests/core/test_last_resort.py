"""The last target is never refused by its breaker alone, when nobody else has answered."""

from __future__ import annotations

import math

import pytest
from kit import fails, flow, in_threads, opened, returned, target

from pilotlight import events
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.breaker.policy import CALLS_FAILED, HEALTH_CHECK
from pilotlight.core.drills.schedule import GameDay, GameDays
from pilotlight.core.provider import Answered, Ended, Opened
from pilotlight.errors import AllTargetsFailed, CircuitOpen, StreamInterrupted
from pilotlight.vocabulary.faults import RULES, Effect, Fault

BY_CALLS = sorted({*CALLS_FAILED, HEALTH_CHECK})
BY_OTHERS = [
    *(str(fault) for fault, rule in RULES.items() if rule.breaker is Effect.OPENS),
    "forced",
    "drill",
    "maintenance",
]


def broken(name: str, clock, reason: str = "failure_rate", seconds: float = 600.0, **more):
    made = target(name, clock, **more)
    made.health.breaker.trip(reason, seconds)
    return made


@pytest.mark.parametrize("reason", BY_CALLS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_target_that_is_alone_is_asked_though_its_breaker_is_open(clock, reason, stream):
    gpt = broken("gpt", clock, reason)
    talk, recorder = flow([gpt], clock, stream=stream)
    assert next(talk).target is gpt
    if stream:
        talk.send(Opened())
        with pytest.raises(StopIteration):
            talk.send(Ended())
    else:
        assert returned(talk, Answered("hello")) == "hello"
    assert gpt.health.breaker.current_state == "closed"
    assert [(s.target, s.reason) for s in recorder.skipped] == [("gpt", "breaker_open")]
    assert [(a.target, a.breaker) for a in recorder.attempts] == [("gpt", "open")]


@pytest.mark.parametrize("reason", BY_OTHERS)
def test_it_is_not_where_no_call_can_change_the_reason(clock, reason):
    gpt = broken("gpt", clock, reason)
    talk, recorder = flow([gpt], clock)
    with pytest.raises(AllTargetsFailed):
        next(talk)
    assert not recorder.attempts


@pytest.mark.parametrize("ahead", [0, 1, 2])
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.TIMEOUT, Fault.AUTH_FAILED])
def test_the_last_that_only_its_breaker_refused_is_asked_after_all_others(clock, ahead, fault):
    closed = [target(f"closed{number}", clock) for number in range(ahead)]
    first, second = broken("first", clock), broken("second", clock)
    talk, recorder = flow([first, *closed, second], clock)
    step = next(talk)
    for each in closed:
        assert step.target is each
        step = talk.send(fails(fault))
    assert step.target is second
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.SERVER_ERROR))
    assert [each.target for each in recorder.attempts] == [*(c.name for c in closed), "second"]


def test_nobody_is_asked_so_while_another_can_answer(clock):
    gpt, local = broken("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    assert next(talk).target is local
    returned(talk, Answered("hello"))
    assert [each.target for each in recorder.attempts] == ["local"]


def test_what_refuses_it_besides_still_refuses_it(clock):
    gpt = broken("gpt", clock)
    days = GameDays(clock=clock, wall_clock=lambda: 0.0)
    days.install([GameDay("d", "gpt", 1.0, 60.0)])
    with pytest.raises(AllTargetsFailed):
        next(flow([gpt], clock, game_days=days)[0])
    away, home = broken("away", clock), target("home", clock, local=True)
    talk, recorder = flow([away, home], clock)
    next(talk)
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.PRIVACY_BOUNDARY))
    assert [each.target for each in recorder.attempts] == ["home"]


def test_a_throttle_that_can_be_sat_out_comes_first(clock):
    slow, gpt = broken("slow", clock, Fault.RATE_LIMITED, 3.0), broken("gpt", clock)
    talk, _ = flow([slow, gpt], clock)
    assert next(talk).seconds == 3.0
    clock.advance(3.0)
    assert talk.send(None).target is slow
    assert talk.send(fails(Fault.SERVER_ERROR)).target is gpt


def test_one_call_at_a_time(clock):
    gpt = broken("gpt", clock)
    first, _ = flow([gpt], clock)
    next(first)
    for _ in range(3):
        with pytest.raises(AllTargetsFailed) as refused:
            next(flow([gpt], clock)[0])
        assert isinstance(refused.value.exceptions[-1], CircuitOpen)
    first.close()  # its caller has gone: no verdict
    assert gpt.health.breaker.current_state == "open"
    second, _ = flow([gpt], clock)
    assert next(second).target is gpt


def test_one_of_many_threads():
    guard = Breaker("gpt")
    guard.trip("failure_rate", 600.0)
    permits = in_threads(30, lambda _: guard.last_resort())
    assert sum(permit is not None for permit in permits) == 1


def test_a_failure_leaves_the_break_as_it_was_and_says_nothing(clock, monkeypatch):
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "listeners", [heard.append])
    gpt = broken("gpt", clock, seconds=20.0)
    for _ in range(8):
        clock.advance(1.0)
        with pytest.raises(AllTargetsFailed):
            talk, _ = flow([gpt], clock)
            next(talk)
            talk.send(fails(Fault.SERVER_ERROR))
    assert (gpt.health.breaker.reason, gpt.health.breaker.retry_after) == ("failure_rate", 12.0)
    assert not any(isinstance(each, events.BreakerChanged) for each in heard)


def test_a_fault_that_says_it_all_is_the_reason_from_then_on(clock):
    gpt = broken("gpt", clock, seconds=20.0)
    talk, _ = flow([gpt], clock)
    next(talk)
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.RATE_LIMITED, retry_after=90.0))
    assert (gpt.health.breaker.reason, gpt.health.breaker.retry_after) == ("rate_limited", 90.0)


def test_a_stream_that_breaks_off_closes_nothing(clock):
    gpt = broken("gpt", clock)
    talk, _ = flow([gpt], clock, stream=True)
    next(talk)
    talk.send(Opened())
    with pytest.raises(StreamInterrupted):
        talk.send(fails(Fault.STREAM_INTERRUPTED))
    assert gpt.health.breaker.current_state == "open"


def test_a_slow_success_closes_nothing(clock):
    guard = opened(clock, slow_call_duration=5.0)
    guard.last_resort().success(5.0)
    assert guard.current_state == "open"
    guard.last_resort().success(4.9)
    assert guard.current_state == "closed"


def test_where_several_trials_must_succeed_it_is_the_first_of_them(clock):
    guard = opened(clock, trial_calls=2)
    guard.last_resort().success()
    assert guard.current_state == "half-open"
    guard.acquire().success()
    assert guard.current_state == "closed"


def test_a_lost_one_gives_its_place_up_in_time(clock):
    guard = Breaker("gpt", BreakerPolicy(reset_timeout=5.0), clock=clock)
    guard.trip("failure_rate", math.inf)
    guard.last_resort(lease=8.0)
    clock.advance(7.9)
    assert guard.last_resort() is None
    clock.advance(0.1)
    assert guard.last_resort() is not None


def test_when_the_break_is_over_it_is_a_trial(clock):
    guard = opened(clock)
    late = guard.last_resort()
    clock.advance(15.0)
    trial = guard.last_resort()
    assert trial.trial and guard.last_resort() is None
    late.success()  # began under the break
    assert guard.current_state == "half-open"
