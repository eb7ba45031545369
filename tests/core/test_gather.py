"""When an unstreamed chat is streamed underneath, and what the flow does about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import fails, flow, returned, target

from pilotlight.core.breaker.suspicion import DOUBT
from pilotlight.core.flow.admission import QUICK
from pilotlight.core.flow.failover import Policy
from pilotlight.core.flow.gather import LATELY
from pilotlight.core.provider import Answered, Attempt, Facts, Timeouts
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault

CHAT = ({"role": "user", "content": "hello"},)
ASKED = {"messages": CHAT}


def able(name: str, clock: FakeClock, **more):
    """A target whose streams can be put together."""
    return target(name, clock, **{"gathers": lambda _call, _even_so: True, **more})


def first(targets, clock, policy=None, **call) -> Attempt:
    """The first attempt of a call, which is then given up."""
    talk, _ = flow(targets, clock, policy=policy, **{**ASKED, **call})
    step = next(talk)
    talk.close()
    assert isinstance(step, Attempt)
    return step


def answers(targets, clock, **call) -> Attempt:
    """Make a call that goes well; return how it was asked."""
    talk, _ = flow(targets, clock, **{**ASKED, **call})
    step = next(talk)
    returned(talk, Answered("hi"))
    return step


@given(
    wish=st.sampled_from(["auto", "always", "never"]),
    call=st.sampled_from(
        [{}, {"stream": True}, {"operation": "embeddings"}, {"operation": "image"}]
    ),
    messages=st.sampled_from([CHAT, ()]),
    ago=st.sampled_from([None, 0.0, LATELY - 1, LATELY, 1000.0]),
    failures=st.integers(0, 3),
    trial=st.booleans(),
    behind=st.sampled_from(["nobody", "open", "able"]),
    can=st.sampled_from(["never", "even so", "always"]),
)
def test_it_is_done_where_it_can_help_and_has_a_reason(
    wish, call, messages, ago, failures, trial, behind, can
):
    clock = FakeClock()
    gpt = target("gpt", clock, gathers=lambda _call, so: can == "always" or (so and can != "never"))
    if ago is not None:
        answers([gpt], clock)
        clock.advance(ago)
    for _ in range(failures):
        gpt.health.breaker.acquire().failure(ConnectionError())
    if trial:
        gpt.health.breaker.trip("failure_rate", 0.0)
    other = able("other", clock)
    if behind == "open":
        other.health.breaker.trip("failure_rate", 60.0)
    targets = [gpt] if behind == "nobody" else [gpt, other]
    step = first(targets, clock, Policy(gather=wish), messages=messages, **call)
    chat = messages == CHAT and not call
    reason = ago is None or ago >= LATELY or failures >= DOUBT or trial
    auto = wish == "auto" and reason and behind == "able" and can == "always"
    assert step.target is gpt
    assert step.gather is (chat and (auto or (wish == "always" and can != "never")))


def test_what_has_just_answered_costs_no_chunk_whatever_the_door_of_its_answer(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    assert answers([gpt, local], clock).gather
    for _ in range(10):
        clock.advance(LATELY - 1)
        assert not answers([gpt, local], clock).gather
    clock.advance(LATELY)
    assert answers([gpt, local], clock).gather
    clock.advance(LATELY)
    answers([gpt], clock, messages=())  # a decorated function's
    assert not first([gpt, local], clock).gather


def test_calls_that_come_all_at_once_are_no_reason(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    answers([gpt, local], clock)
    talks = [flow([gpt, local], clock, **ASKED)[0] for _ in range(200)]
    assert not any(next(talk).gather for talk in talks)


def test_a_call_that_has_long_been_silent_is_a_reason_until_the_next_answer(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    for _ in range(50):
        answers([gpt, local], clock)  # in no time: whoever takes more than a second is slow
    talk, _ = flow([gpt, local], clock, **ASKED)
    next(talk)
    assert not first([gpt, local], clock).gather
    clock.advance(LATELY - 0.5)
    assert first([gpt, local], clock).gather
    assert answers([gpt, local], clock).gather
    assert not first([gpt, local], clock).gather


def test_a_call_that_ended_in_time_is_none_for_those_that_come_later(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    for _ in range(6):
        answers([gpt, local], clock)
        clock.advance(LATELY - 1)
    assert not first([gpt, local], clock).gather


def test_a_retry_is_asked_as_its_target_stands_then(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    talk, _ = flow([gpt, local], clock, **ASKED)
    assert next(talk).gather
    step = talk.send(fails(Fault.SERVER_ERROR))
    assert step.target is local and not step.gather  # nobody stands behind it


def test_a_trial_that_is_gathered_has_the_clocks_of_a_stream(clock):
    gpt, local = able("gpt", clock, timeouts=Timeouts()), target("local", clock)
    gpt.health.usual.answer.note(8.0)
    gpt.health.breaker.trip("failure_rate", 0.0)
    step = first([gpt, local], clock)
    assert step.gather
    assert (step.timeouts.first_token, step.timeouts.total) == (QUICK, Timeouts().total)


def test_its_first_token_is_noted_and_clears_a_suspicion(clock):
    gpt, local = able("gpt", clock), able("local", clock)
    talk, _ = flow([gpt, local], clock, **ASKED)
    step = next(talk)
    for _ in range(DOUBT):
        gpt.health.breaker.acquire().failure(ConnectionError())
    assert gpt.health.breaker.doubtful
    clock.advance(3.0)
    step.heard()
    assert not gpt.health.breaker.doubtful
    assert gpt.health.usual.first_token.mean == pytest.approx(3.0)
    clock.advance(7.0)
    returned(talk, Answered("hi", Facts()))
    assert gpt.health.usual.answer.mean == pytest.approx(10.0)


def test_one_that_has_begun_is_not_taken_for_silent(clock):
    gpt, local = able("gpt", clock, timeouts=Timeouts()), target("local", clock)
    talks = [flow([gpt, local], clock, **ASKED)[0] for _ in range(6)]
    steps = [next(talk) for talk in talks]
    clock.advance(11.0)  # a third of its limit for the first token
    assert gpt.health.breaker.doubtful
    for step in steps:
        step.heard()
    clock.advance(60.0)
    assert not gpt.health.breaker.doubtful
    for talk in talks:
        talk.close()


def test_a_call_that_is_not_gathered_has_nobody_to_tell(clock):
    step = first([target("gpt", clock)], clock)
    assert step == Attempt(step.target, step.timeouts) and not step.gather
    step.heard()
    assert step.target.health.usual.first_token.far is None
