"""The flow as a conversation: deadlines, reserves, and throttles that may be sat out."""

from __future__ import annotations

import math

import pytest
from kit import fails, flow, target

import pilotlight
from pilotlight import events
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.steps import Pause
from pilotlight.core.provider import Answered, Ended, Opened, Timeouts
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.errors import AllTargetsFailed, DeadlineExceeded
from pilotlight.vocabulary.faults import Fault

# Time.


def totals_asked(targets, clock, **more) -> list[float | None]:
    """The total allowed to each target in turn, each failing at once."""
    talk, _ = flow(targets, clock, **more)
    steps = [next(talk)]
    with pytest.raises(AllTargetsFailed):
        while True:
            steps.append(talk.send(fails(Fault.TIMEOUT)))
    return [step.timeouts.total for step in steps]


def test_without_a_deadline_each_target_has_its_own_time(clock):
    three = [target(n, clock, timeouts=Timeouts(total=t)) for n, t in (("a", 9.0), ("b", None))]
    assert totals_asked(three, clock) == [9.0, None]


def test_a_call_may_give_each_attempt_less_than_its_target_would(clock):
    three = [target(n, clock, timeouts=Timeouts(total=t)) for n, t in zip("abc", (9.0, None, 2.0))]
    assert totals_asked(three, clock, timeout=5.0) == [5.0, 5.0, 2.0]


def test_a_share_of_the_time_is_kept_for_those_behind(clock):
    four = [target(name, clock) for name in "abcd"]
    # A quarter for each behind, but never more than half for all of them.
    assert totals_asked(four, clock, deadline=clock() + 60) == [30.0, 30.0, 45.0, 60.0]


def test_a_target_may_say_how_much_is_kept_for_it(clock):
    pair = [target("a", clock), target("b", clock, time_reserve=12.0)]
    assert totals_asked(pair, clock, deadline=clock() + 60) == [48.0, 60.0]
    pair[1].time_reserve = 1000.0
    assert totals_asked(pair, clock, deadline=clock() + 60) == [30.0, 60.0]


def test_nothing_is_kept_for_those_who_could_not_answer_anyway(clock):
    gpt, claude, local = (target(name, clock) for name in ("gpt", "claude", "local"))
    claude.health.breaker.trip("outage", 600.0)
    local.lacks = lambda: frozenset({"tools"})
    talk, _ = flow([gpt, claude, local], clock, deadline=clock() + 60, needs=frozenset({"tools"}))
    assert next(talk).timeouts.total == 60.0


def test_the_targets_own_limit_holds_when_it_is_shorter(clock):
    limits = Timeouts(connect=1.0, total=10.0)
    talk, _ = flow([target("a", clock, timeouts=limits)], clock, deadline=clock() + 60)
    assert next(talk).timeouts is limits


def test_a_trial_keeps_its_place_for_as_long_as_the_attempt_may_take(clock):
    gpt = target("gpt", clock, timeouts=Timeouts(total=90.0))
    gpt.health.breaker.trip("outage", 0.0)
    talk, _ = flow([gpt], clock)
    next(talk)
    assert gpt.health.breaker.retry_after == 90.0


def test_when_the_time_is_up_nobody_else_is_asked(clock):
    talk, recorder = flow([target("a", clock), target("b", clock)], clock, deadline=clock() + 60)
    next(talk)
    clock.advance(60)
    cause = OSError("slow")
    with pytest.raises(DeadlineExceeded) as caught:
        talk.send(fails(Fault.TIMEOUT, cause))
    assert caught.value.__cause__ is cause
    assert caught.value.receipt.outcome == "exhausted"
    assert [a.target for a in recorder.attempts] == ["a"]


def test_the_last_failure_past_the_deadline_is_a_deadline(clock):
    talk, _ = flow([target("a", clock)], clock, deadline=clock() + 60)
    next(talk)
    clock.advance(61)
    with pytest.raises(DeadlineExceeded):
        talk.send(fails(Fault.TIMEOUT))


@pytest.mark.parametrize(("left", "retries"), [(0.5, False), (0.6, True)])
def test_a_pause_longer_than_the_time_left_is_not_begun(clock, left, retries):
    calm = BreakerPolicy(minimum_calls=99, consecutive_failures=99)
    gpt = target("gpt", clock, retry=RetryPolicy(wait_initial=0.5), breaker=calm)
    talk, _ = flow([gpt, target("b", clock)], clock, deadline=clock() + left)
    next(talk)
    assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause) is retries


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("takes", "state"), [(4.9, "closed"), (5.0, "open")])
def test_how_long_an_answer_took_is_told_to_the_breaker(clock, stream, takes, state):
    watchful = BreakerPolicy(minimum_calls=1, slow_call_duration=5.0)
    gpt = target("gpt", clock, breaker=watchful)
    talk, _ = flow([gpt], clock, stream=stream)
    next(talk)
    if stream:
        clock.advance(1.0)
        talk.send(Opened())
        clock.advance(takes - 1.0)
        with pytest.raises(StopIteration):
            talk.send(Ended())
    else:
        clock.advance(takes)
        with pytest.raises(StopIteration):
            talk.send(Answered("hello"))
    assert gpt.health.breaker.current_state == state
    assert gpt.health.breaker.reason == ("slow_call_rate" if state == "open" else "")


# A throttle is sat out only when nobody else can answer.


def test_a_throttled_target_is_visited_again_after_the_others_failed(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, recorder = flow([gpt, local], clock)
    next(talk)
    assert talk.send(fails(Fault.RATE_LIMITED, retry_after=3.0)).target is local
    clock.advance(1)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Pause(2.0)
    clock.advance(2)
    assert talk.send(None).target is gpt
    with pytest.raises(StopIteration):
        talk.send(Answered("at last"))
    assert recorder.receipt().outcome == "primary"


@pytest.mark.parametrize("wait", [5.0, 60.0, math.inf])
def test_a_long_throttle_is_not_sat_out(clock, wait):
    talk, _ = flow([target("gpt", clock)], clock, policy=Policy(rate_limit_wait=5.0))
    next(talk)
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.RATE_LIMITED, retry_after=wait))


def test_a_throttle_is_not_sat_out_past_the_deadline(clock):
    talk, _ = flow([target("gpt", clock)], clock, deadline=clock() + 3)
    next(talk)
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.RATE_LIMITED, retry_after=3.0))


def test_a_throttle_met_by_an_earlier_call_is_sat_out_as_well(clock):
    gpt = target("gpt", clock)
    gpt.health.breaker.trip("rate_limited", 2.0)
    talk, _ = flow([gpt], clock)
    assert next(talk) == Pause(2.0)


def test_the_soonest_of_the_throttled_is_visited_once(clock):
    a, b = target("a", clock), target("b", clock)
    talk, _ = flow([a, b], clock)
    next(talk)
    talk.send(fails(Fault.RATE_LIMITED, retry_after=4.0))
    assert talk.send(fails(Fault.RATE_LIMITED, retry_after=1.0)) == Pause(1.0)
    clock.advance(1)
    assert talk.send(None).target is b
    with pytest.raises(AllTargetsFailed):
        talk.send(fails(Fault.RATE_LIMITED, retry_after=1.0))


def test_visiting_the_same_target_again_is_no_failover(clock):
    heard: list[events.Event] = []
    pilotlight.listeners.append(heard.append)
    talk, _ = flow([target("gpt", clock)], clock)
    next(talk)
    talk.send(fails(Fault.RATE_LIMITED, retry_after=1.0))
    clock.advance(1)
    talk.send(None)
    assert not [each for each in heard if isinstance(each, events.FailedOver)]
