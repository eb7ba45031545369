"""The flow as a conversation: who may answer, how long each may take, who must wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kit import fails, flow, returned, target, trip

from pilotlight.core.flow.failover import Policy, failover_flow
from pilotlight.core.flow.steps import Queue
from pilotlight.core.provider import Answered, Attempt, Facts, Timeouts
from pilotlight.core.requirements import PromptSize
from pilotlight.errors import (
    AllTargetsFailed,
    DeadlineExceeded,
    ProviderFault,
    TargetSkipped,
)
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault


def asked(talk) -> str:
    return next(talk).target.name


# Admission.


def test_a_private_call_asks_local_targets_only(clock):
    gpt, local = target("gpt", clock), target("local", clock, local=True)
    talk, recorder = flow([gpt, local], clock, private=True)
    assert asked(talk) == "local"
    assert [(s.target, s.reason) for s in recorder.skipped] == [("gpt", "residency")]


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
    talk, recorder = flow([small, gpt], clock, needs=frozenset({"tools"}))
    assert asked(talk) == "gpt"
    assert (recorder.skipped[0].reason, recorder.skipped[0].detail) == ("unsupported", "tools")


def test_the_first_reason_to_pass_a_target_over_is_the_one_that_is_told(clock):
    gpt = target("gpt", clock, lacks=frozenset({"tools"}), concurrency=1)
    gpt.health.breaker.trip("outage", 9.0)
    gpt.health.bulkhead.enter(None)
    told = []
    for more in (
        {"private": True, "needs": frozenset({"tools"})},
        {"needs": frozenset({"tools"})},
        {},
    ):
        talk, recorder = flow([gpt, target("local", clock, local=True)], clock, **more)
        next(talk)
        talk.close()
        told.append(recorder.skipped[0].reason)
    assert told == ["residency", "unsupported", "breaker_open"]


def test_a_full_bulkhead_is_passed_over(clock):
    gpt, local = target("gpt", clock, concurrency=1), target("local", clock)
    gpt.health.bulkhead.enter(None)
    talk, recorder = flow([gpt, local], clock)
    assert asked(talk) == "local"
    assert recorder.skipped[0].reason == "saturated"


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
    talk, recorder = flow([target("gpt", clock), target("local", clock)], clock)
    next(talk)
    with pytest.raises(StopIteration):
        talk.send(Answered("hi", facts))
    assert recorder.attempts[0].flags == ("model_substituted",)
    policy = Policy(fail_over_on=frozenset({Fault.MODEL_SUBSTITUTED}))
    talk, recorder = flow([target("gpt", clock), target("local", clock)], clock, policy=policy)
    next(talk)
    assert talk.send(Answered("hi", facts)).target.name == "local"
    assert recorder.attempts[0].fault == "model_substituted"


@pytest.mark.parametrize("fault", [f for f in Fault if RULES[f].elsewhere is Elsewhere.LARGER])
@pytest.mark.parametrize(
    ("here", "there", "moves"),
    [(8, 16, True), (8, 8, True), (8, 4, False), (None, 16, True), (8, None, True),
     (None, None, True)],
)  # fmt: skip
def test_a_prompt_too_long_goes_to_no_smaller_window(clock, fault, here, there, moves):
    talk, _ = flow([target("a", clock, window=here), target("b", clock, window=there)], clock)
    next(talk)
    if moves:
        assert talk.send(fails(fault)).target.name == "b"
    else:
        with pytest.raises(OSError, match=fault):
            talk.send(fails(fault))


@pytest.mark.parametrize("told", [None, 3, 5, 16])
def test_what_the_refusal_says_of_the_window_counts_from_then_on(clock, told):
    """Here as the target's own words are: `kit.target` has a fixed window only where given."""
    a, b = target("a", clock), target("b", clock, window=4)
    a.window = lambda: a.health.window
    talk, _ = flow([a, b], clock)
    next(talk)
    if told is None or told <= 4:
        assert talk.send(fails(Fault.CONTEXT_EXCEEDED, window=told)).target is b
    else:
        with pytest.raises(OSError, match="context_exceeded"):
            talk.send(fails(Fault.CONTEXT_EXCEEDED, window=told))


def test_a_told_window_is_forgotten_when_more_was_read_and_after_an_hour(clock):
    a = target("a", clock)
    a.health.limit(8192)
    for read, kept in [(None, 8192), (8192, 8192), (8193, None)]:
        talk, _ = flow([a], clock)
        next(talk)
        returned(talk, Answered("hi", Facts(prompt_tokens=read)))
        assert a.health.window == kept
    a.health.limit(8192)
    clock.advance(3599)
    assert a.health.window == 8192
    clock.advance(1)
    assert a.health.window is None


@pytest.mark.parametrize("private", [False, True])
def test_a_refused_prompt_is_raised_where_nobody_else_may_see_it(clock, private):
    a = target("a", clock, local=True)
    b = target("b", clock, lacks=frozenset() if private else frozenset({"tools"}))
    needs = frozenset() if private else frozenset({"tools"})
    talk, _ = flow([a, b], clock, private=private, needs=needs)
    next(talk)
    with pytest.raises((OSError, ProviderFault), match="context_exceeded"):
        talk.send(fails(Fault.CONTEXT_EXCEEDED))


TOO_LONG = [f for f in Fault if RULES[f].elsewhere is Elsewhere.LARGER]
OUTAGES = [
    f for f in Fault if RULES[f].breaker is not Effect.IGNORES and f is not Fault.PRIVACY_BOUNDARY
]


@pytest.mark.parametrize("too_long", TOO_LONG)
@pytest.mark.parametrize("outage", [*OUTAGES, "breaker_open", "asked_to_wait"])
def test_an_outage_and_a_prompt_too_long_for_the_rest_is_an_outage(clock, outage, too_long):
    """Both reasons are told, and when to come back; the mend where a context is too small."""
    gpt, local = target("gpt", clock, window=128), target("local", clock, window=8)
    if outage == "breaker_open":
        gpt.health.breaker.trip(Fault.QUOTA_EXHAUSTED, 600.0)
    elif outage == "asked_to_wait":
        gpt.health.hold(600.0)
    talk, _ = flow([gpt, local], clock)
    step = next(talk)
    while step.target is gpt:
        step = talk.send(fails(outage, retry_after=600.0))
    with pytest.raises(AllTargetsFailed, match=f"(?s)gpt {outage}.*local {too_long}") as caught:
        talk.send(fails(too_long))
    assert caught.value.retry_after == pytest.approx(600.0)
    assert caught.value.receipt.outcome == "exhausted"
    assert ("larger `context`" in str(caught.value)) is (too_long is Fault.CONTEXT_EXCEEDED)


@pytest.mark.parametrize("too_long", TOO_LONG)
@pytest.mark.parametrize("ahead", [*TOO_LONG, Fault.REJECTED])
def test_it_is_the_callers_mistake_where_everybody_else_was_well(clock, ahead, too_long):
    talk, _ = flow([target("gpt", clock), target("local", clock)], clock)
    next(talk)
    talk.send(fails(ahead))
    with pytest.raises(OSError, match=too_long):
        talk.send(fails(too_long))


def test_a_target_passed_over_for_its_context_has_the_same_mend(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    local.room = lambda _options: 8
    context = trip([gpt, local], clock)
    words = PromptSize([{"role": "user", "content": "word " * 900}])
    talk = failover_flow(replace(context, prompt_size=words))
    next(talk)
    with pytest.raises(AllTargetsFailed, match="local unsupported .context.; .*larger `context`"):
        talk.send(fails(Fault.AUTH_FAILED))


def test_a_prompt_too_long_passes_over_windows_that_are_smaller(clock):
    """Some servers cut a prompt silently: the small ones in between must not even see it."""
    sizes = {"a": 8, "small": 4, "tiny": 2, "large": 32}
    talk, recorder = flow([target(name, clock, window=size) for name, size in sizes.items()], clock)
    next(talk)
    assert talk.send(fails(Fault.CONTEXT_EXCEEDED)).target.name == "large"
    assert [(s.target, s.reason) for s in recorder.skipped] == [
        ("small", "unsupported"), ("tiny", "unsupported"),
    ]  # fmt: skip


def test_after_a_local_name_led_away_only_proven_local_targets_may_answer(clock):
    """Also for a call that is not private: whoever put a local model first meant it."""
    away = target("away", clock, local=True)
    gpt, home = target("gpt", clock), target("home", clock, local=True)
    talk, recorder = flow([away, gpt, home], clock)
    next(talk)
    assert talk.send(fails(Fault.PRIVACY_BOUNDARY)).target is home
    assert [(s.target, s.reason) for s in recorder.skipped] == [("gpt", "residency")]
