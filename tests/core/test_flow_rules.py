"""The flow as a conversation: who may answer, how long each may take, who must wait."""

from __future__ import annotations

import math

import pytest
from kit import fails, flow, target

import pilotlight
from pilotlight import events
from pilotlight.core.backoff import RetryPolicy
from pilotlight.core.breaker import BreakerPolicy
from pilotlight.core.faults import RULES, Elsewhere, Fault
from pilotlight.core.flow import Policy
from pilotlight.core.steps import Answered, Attempt, Facts, Pause, Queue, Timeouts
from pilotlight.errors import AllTargetsFailed, DeadlineExceeded, TargetSkipped


def asked(talk) -> str:
    return next(talk).target.name


# Admission.


def test_a_private_call_asks_local_targets_only(clock):
    gpt, local = target("gpt", clock), target("local", clock, local=True)
    talk, journal = flow([gpt, local], clock, private=True)
    assert asked(talk) == "local"
    assert [(s.target, s.reason) for s in journal.skipped] == [("gpt", "residency")]


def test_a_private_call_never_leaves_whatever_fails(clock):
    local, gpt = target("local", clock, local=True), target("gpt", clock)
    talk, _ = flow([local, gpt], clock, private=True)
    next(talk)
    with pytest.raises(AllTargetsFailed) as caught:
        talk.send(fails(Fault.PRIVACY_BOUNDARY))
    refused = caught.value.exceptions[1]
    assert isinstance(refused, TargetSkipped) and refused.reason == "residency"
    assert caught.value.retry_after is None  # neither comes back by waiting


def test_a_target_without_an_ability_is_passed_over(clock):
    small, gpt = target("small", clock, lacks=frozenset({"tools", "images"})), target("gpt", clock)
    talk, journal = flow([small, gpt], clock, needs=frozenset({"tools"}))
    assert asked(talk) == "gpt"
    assert (journal.skipped[0].reason, journal.skipped[0].detail) == ("unsupported", "tools")


def test_the_first_reason_to_pass_a_target_over_is_the_one_that_is_told(clock):
    gpt = target("gpt", clock, lacks=frozenset({"tools"}), concurrency=1)
    gpt.health.breaker.trip("outage", 9.0)
    gpt.health.bulkhead.enter(None)
    told = []
    for more in ({"private": True, "needs": frozenset({"tools"})}, {"needs": frozenset({"tools"})}, {}):
        talk, journal = flow([gpt, target("local", clock, local=True)], clock, **more)
        next(talk)
        talk.close()
        told.append(journal.skipped[0].reason)
    assert told == ["residency", "unsupported", "breaker_open"]


def test_a_full_bulkhead_is_passed_over(clock):
    gpt, local = target("gpt", clock, concurrency=1), target("local", clock)
    gpt.health.bulkhead.enter(None)
    talk, journal = flow([gpt, local], clock)
    assert asked(talk) == "local"
    assert journal.skipped[0].reason == "saturated"


def test_a_place_in_the_queue_is_waited_for_and_then_used(clock):
    gpt = target("gpt", clock, concurrency=1, queue=1, timeouts=Timeouts(total=40.0))
    first = gpt.health.bulkhead.enter(None)
    talk, _ = flow([gpt], clock, deadline=clock() + 30)
    step = next(talk)
    assert isinstance(step, Queue) and step.seconds == 30.0
    clock.advance(10)
    first.release()
    assert talk.send(None) == Attempt(gpt, Timeouts(total=20.0), 0)
    talk.close()
    assert (gpt.health.bulkhead.inside, gpt.health.bulkhead.waiting) == (0, 0)


def test_a_place_that_did_not_come_in_time_is_left(clock):
    gpt, local = target("gpt", clock, concurrency=1, queue=1), target("local", clock)
    gpt.health.bulkhead.enter(None)
    talk, _ = flow([gpt, local], clock)
    next(talk)
    assert talk.send(None).target is local
    assert gpt.health.bulkhead.waiting == 0


def test_a_place_that_came_after_the_deadline_is_not_used(clock):
    """An attempt without any time left could only be counted against the target."""
    gpt = target("gpt", clock, concurrency=1, queue=1)
    first = gpt.health.bulkhead.enter(None)
    talk, _ = flow([gpt], clock, deadline=clock() + 5)
    next(talk)
    clock.advance(5)
    first.release()
    with pytest.raises(DeadlineExceeded):
        talk.send(None)
    assert gpt.health.bulkhead.inside == 0


# Who else may answer.


@pytest.mark.parametrize("fault", [f for f in Fault if RULES[f].elsewhere is Elsewhere.POLICY])
@pytest.mark.parametrize("allowed", [True, False])
def test_by_policy_means_as_the_route_says(clock, fault, allowed):
    policy = Policy(fail_over_on=frozenset({fault} if allowed else set()))
    talk, _ = flow([target("gpt", clock), target("local", clock)], clock, policy=policy)
    next(talk)
    if allowed:
        assert talk.send(fails(fault)).target.name == "local"
    else:
        with pytest.raises(OSError):
            talk.send(fails(fault))


def test_a_substituted_model_is_accepted_unless_the_route_minds(clock):
    facts = Facts(flags=("model_substituted",))
    talk, journal = flow([target("gpt", clock), target("local", clock)], clock)
    next(talk)
    with pytest.raises(StopIteration):
        talk.send(Answered("hi", facts))
    assert journal.attempts[0].flags == ("model_substituted",)
    policy = Policy(fail_over_on=frozenset({Fault.MODEL_SUBSTITUTED}))
    talk, journal = flow([target("gpt", clock), target("local", clock)], clock, policy=policy)
    next(talk)
    assert talk.send(Answered("hi", facts)).target.name == "local"
    assert journal.attempts[0].fault == "model_substituted"


@pytest.mark.parametrize("fault", [f for f in Fault if RULES[f].elsewhere is Elsewhere.LARGER])
@pytest.mark.parametrize(
    ("here", "there", "moves"),
    [(8, 16, True), (8, 8, False), (8, 4, False), (None, 16, False), (8, None, False)],
)
def test_a_prompt_too_long_goes_to_a_larger_window_only(clock, fault, here, there, moves):
    talk, _ = flow([target("a", clock, window=here), target("b", clock, window=there)], clock)
    next(talk)
    if moves:
        assert talk.send(fails(fault)).target.name == "b"
    else:
        with pytest.raises(OSError, match=fault):
            talk.send(fails(fault))


def test_a_prompt_too_long_passes_over_windows_that_are_no_larger(clock):
    """Some servers cut a prompt silently: the small ones in between must not even see it."""
    sizes = {"a": 8, "small": 4, "unknown": None, "large": 32}
    talk, journal = flow([target(name, clock, window=size) for name, size in sizes.items()], clock)
    next(talk)
    assert talk.send(fails(Fault.CONTEXT_EXCEEDED)).target.name == "large"
    assert [(s.target, s.reason) for s in journal.skipped] == [
        ("small", "unsupported"), ("unknown", "unsupported"),
    ]  # fmt: skip


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


def test_a_share_of_the_time_is_kept_for_those_behind(clock):
    four = [target(name, clock) for name in "abcd"]
    # A quarter for each behind, but never more than half for all of them.
    assert totals_asked(four, clock, deadline=clock() + 60) == [30.0, 30.0, 45.0, 60.0]


def test_a_target_may_say_how_much_is_kept_for_it(clock):
    pair = [target("a", clock), target("b", clock, reserve=12.0)]
    assert totals_asked(pair, clock, deadline=clock() + 60) == [48.0, 60.0]
    pair[1].reserve = 1000.0
    assert totals_asked(pair, clock, deadline=clock() + 60) == [30.0, 60.0]


def test_nothing_is_kept_for_those_who_could_not_answer_anyway(clock):
    gpt, claude, local = (target(name, clock) for name in ("gpt", "claude", "local"))
    claude.health.breaker.trip("outage", 600.0)
    local.lacks = frozenset({"tools"})
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
    talk, journal = flow([target("a", clock), target("b", clock)], clock, deadline=clock() + 60)
    next(talk)
    clock.advance(60)
    cause = OSError("slow")
    with pytest.raises(DeadlineExceeded) as caught:
        talk.send(fails(Fault.TIMEOUT, cause))
    assert caught.value.__cause__ is cause
    assert caught.value.receipt.outcome == "exhausted"
    assert [a.target for a in journal.attempts] == ["a"]


def test_the_last_failure_past_the_deadline_is_a_deadline(clock):
    talk, _ = flow([target("a", clock)], clock, deadline=clock() + 60)
    next(talk)
    clock.advance(61)
    with pytest.raises(DeadlineExceeded):
        talk.send(fails(Fault.TIMEOUT))


@pytest.mark.parametrize(("left", "retries"), [(0.5, False), (0.6, True)])
def test_a_pause_longer_than_the_time_left_is_not_begun(clock, left, retries):
    calm = BreakerPolicy(minimum_calls=99)
    gpt = target("gpt", clock, retry=RetryPolicy(base=0.5), breaker=calm)
    talk, _ = flow([gpt, target("b", clock)], clock, deadline=clock() + 60)
    next(talk)
    clock.advance(60 - left)
    assert isinstance(talk.send(fails(Fault.SERVER_ERROR)), Pause) is retries


# A throttle is sat out only when nobody else can answer.


def test_a_throttled_target_is_visited_again_after_the_others_failed(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    talk, journal = flow([gpt, local], clock)
    next(talk)
    assert talk.send(fails(Fault.RATE_LIMITED, retry_after=3.0)).target is local
    clock.advance(1)
    assert talk.send(fails(Fault.SERVER_ERROR)) == Pause(2.0)
    clock.advance(2)
    assert talk.send(None).target is gpt
    with pytest.raises(StopIteration):
        talk.send(Answered("at last"))
    assert journal.receipt().outcome == "primary"


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
