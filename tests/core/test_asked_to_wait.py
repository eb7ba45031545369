"""A provider that says when to come back is not asked before, whatever its fault was."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import fails, flow, returned, target

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.steps import Pause
from pilotlight.core.health.told import LONGEST_WAIT
from pilotlight.core.provider import Answered, Attempt
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import AllTargetsFailed
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import RULES, Effect, Fault

COUNTED = [fault for fault in Fault if RULES[fault].breaker is Effect.COUNTS]
RETRY = RetryPolicy(max_retries=1, wait_initial=0.25)
CALM = BreakerPolicy(minimum_calls=99)


def pair(clock, **more):
    return target("a", clock, retry=RETRY, breaker=CALM, **more), target("b", clock)


def answer(talk):
    return returned(talk, Answered("well"))


@pytest.mark.parametrize("fault", COUNTED)
def test_it_is_asked_again_by_this_call_and_the_next_only_when_the_time_is_over(clock, fault):
    a, b = pair(clock)
    talk, _ = flow([a, b], clock)
    next(talk)
    assert talk.send(fails(fault, retry_after=5.0)).target is b
    answer(talk)
    assert a.health.breaker.state.name == "closed"
    assert a.health.breaker.state.window.failures == 1
    clock.advance(4.0)
    talk, recorder = flow([a, b], clock)
    assert next(talk).target is b
    (skipped,) = recorder.skipped
    assert (skipped.target, skipped.reason, skipped.retry_after) == ("a", "asked_to_wait", 1.0)
    answer(talk)
    clock.advance(1.0)
    talk, _ = flow([a, b], clock)
    assert next(talk).target is a


@pytest.mark.parametrize("fault", [f for f in Fault if RULES[f].breaker is Effect.IGNORES])
def test_what_a_caller_did_wrong_keeps_nobody_elses_call_away(clock, fault):
    a, b = pair(clock)
    policy = Policy(fail_over_on=frozenset(Fault))
    talk, _ = flow([a, b], clock, policy=policy)
    next(talk)
    try:
        talk.send(fails(fault, retry_after=5.0))
    except OSError:
        pass
    talk, _ = flow([a, b], clock)
    assert next(talk).target is a


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(0.0, 0.125), (0.0625, 0.125), (0.1875, 0.1875), (0.25, 0.25), (0.2500001, None)],
)
def test_a_wait_no_longer_than_a_retrys_pause_is_made_and_kept(clock, asked, pause):
    a, b = pair(clock)
    talk, _ = flow([a, b], clock, random=lambda: 0.5)
    next(talk)
    step = talk.send(fails(Fault.OVERLOADED, retry_after=asked))
    if pause is None:
        assert step.target is b
        return
    assert step == Pause(pause)
    clock.advance(pause)
    assert talk.send(None).target is a


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(("asked", "waits"), [(3.0, True), (5.0, False), (60.0, False)])
def test_the_only_target_is_waited_for_or_the_call_says_when(clock, earlier, asked, waits):
    a = target("a", clock, retry=RETRY, breaker=CALM)
    policy = Policy(rate_limit_wait=5.0)
    talk, _ = flow([a], clock, policy=policy)
    next(talk)
    if earlier:
        a.health.hold(asked)
        talk, _ = flow([a], clock, policy=policy)
        begin = lambda: next(talk)  # noqa: E731
    else:
        begin = lambda: talk.send(fails(Fault.OVERLOADED, retry_after=asked))  # noqa: E731
    if not waits:
        with pytest.raises(AllTargetsFailed) as failed:
            begin()
        assert failed.value.retry_after == asked
        return
    assert begin() == Pause(asked)
    clock.advance(asked)
    assert talk.send(None).target is a
    assert answer(talk) == "well"


def test_the_longer_of_a_break_and_a_wait_is_told(clock):
    a = target("a", clock, breaker=BreakerPolicy(minimum_calls=1, reset_timeout=15.0))
    talk, _ = flow([a], clock, policy=Policy(rate_limit_wait=0.0))
    next(talk)
    with pytest.raises(AllTargetsFailed) as failed:
        talk.send(fails(Fault.OVERLOADED, retry_after=60.0))
    assert failed.value.retry_after == 60.0
    assert a.health.breaker.state.name == "open"


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(
    asked=st.one_of(
        st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1e300, -1.0, 1e-9])
    )
)
def test_a_hostile_wait_is_bounded_or_ignored(asked):
    clock = FakeClock()
    a, b = pair(clock)
    talk, _ = flow([a, b], clock, random=lambda: 0.0)
    next(talk)
    talk.send(fails(Fault.SERVER_ERROR, retry_after=asked))
    left = a.health.asked_to_wait
    if asked > 0 and not math.isnan(asked):
        assert left is None or 0 < left <= LONGEST_WAIT + 1e-6
    else:
        assert left is None


# Sitting it out.


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.OVERLOADED, Fault.SERVER_ERROR])
@pytest.mark.parametrize("sit_out", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("asked", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_route_may_rather_wait_for_its_first_target(clock, fault, sit_out, asked, earlier):
    a, b = pair(clock)
    policy = Policy(sit_out=sit_out)
    talk, recorder = flow([a, b], clock, policy=policy)
    step = next(talk)
    if earlier:
        talk.send(fails(fault, retry_after=asked))
        talk, recorder = flow([a, b], clock, policy=policy)
        step = next(talk)
    else:
        step = talk.send(fails(fault, retry_after=asked))
    wait = max(asked, 1.0) if fault is Fault.RATE_LIMITED else asked  # a throttle's least break
    if wait > sit_out:
        assert step.target is b
        return
    assert step == Pause(wait)
    clock.advance(wait)
    step = talk.send(None)
    assert isinstance(step, Attempt)
    assert step.target is a
    step = talk.send(fails(fault, retry_after=asked))
    assert step.target is b, "it waits once"
    answer(talk)
    assert recorder.receipt().outcome == "failover"


def test_it_waits_for_no_other_than_the_first_and_leaves_the_others_their_time(clock):
    a, b = pair(clock)
    policy = Policy(sit_out=10.0)
    talk, _ = flow([a, b], clock, policy=policy)
    assert next(talk).target is a
    assert talk.send(fails(Fault.TIMEOUT)).target is b
    talk.close()
    talk, _ = flow([a, b], clock, policy=policy, deadline=clock() + 10)
    next(talk)
    assert talk.send(fails(Fault.OVERLOADED, retry_after=8.0)).target is b, "it needs 2.5 s"


def test_a_break_after_failures_is_not_sat_out(clock):
    a, b = (
        target("a", clock, breaker=BreakerPolicy(minimum_calls=1, reset_timeout=1.0)),
        target("b", clock),
    )
    talk, _ = flow([a, b], clock, policy=Policy(sit_out=10.0))
    next(talk)
    assert talk.send(fails(Fault.SERVER_ERROR)).target is b


# A slow failure.


RETRIED = [fault for fault in Fault if RULES[fault].retried]


@pytest.mark.parametrize("fault", RETRIED)
@pytest.mark.parametrize("only_under", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("took", [0.0, 0.4, 0.9, 6.0, 130.0])
@pytest.mark.parametrize("deadline", [None, 200.0, 8.0])
def test_only_a_quick_failure_is_made_again_while_another_could_answer(
    clock, fault, only_under, took, deadline
):
    retry = RetryPolicy(max_retries=1, only_under=only_under)
    a = target("a", clock, retry=retry, breaker=CALM)
    left = math.inf if deadline is None else deadline
    until = None if deadline is None else clock() + took + left
    talk, _ = flow([a, target("b", clock)], clock, deadline=until)
    next(talk)
    clock.advance(took)
    step = talk.send(fails(fault))
    assert isinstance(step, Pause) is (took < min(only_under, left / 10))


@pytest.mark.parametrize(
    ("took", "deadline", "again"),
    [(6.0, None, True), (6.0, 20.0, True), (6.0, 11.0, False), (120.0, None, False)],
)
@pytest.mark.parametrize("behind", ["nobody", "open", "asked to wait", "remote"])
def test_where_nobody_else_could_answer_it_is_the_only_chance(clock, took, deadline, again, behind):
    from pilotlight.core.provider import Timeouts

    a = target("a", clock, retry=RETRY, breaker=CALM, local=True, timeouts=Timeouts(total=120.0))
    b = target("b", clock)
    if behind == "open":
        b.health.breaker.trip("x", 1e6)
    if behind == "asked to wait":
        b.health.hold(1e6)
    targets = [a] if behind == "nobody" else [a, b]
    until = None if deadline is None else clock() + deadline
    talk, _ = flow(targets, clock, deadline=until, private=behind == "remote")
    next(talk)
    clock.advance(took)
    if again:
        assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause)
    else:
        with pytest.raises(AllTargetsFailed):
            talk.send(fails(Fault.SERVER_ERROR))
