"""Back on the primary as soon as it is well: what a trial may cost, and how long it takes."""

from __future__ import annotations

from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import fails, flow, returned, target

from benchmarks.recovery_sim import Model, Outage, World, lognormal, served_again, trials
from pilotlight.core.flow.admission import LONG, QUICK
from pilotlight.core.health.usual import TIMES
from pilotlight.core.provider import Answered, Attempt, Timeouts
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault

BEAT = 4.0  # seconds between two calls
CYCLE = 16.0  # seconds between two trials on that beat


# What a trial may cost its caller.


def trial(clock, targets, slow_trials: int = 0, **call) -> Timeouts:
    """The clocks of a trial of the first target, after so many in a row that were too slow."""
    guard = targets[0].health.breaker
    guard.trip("failure_rate", 0.0)
    guard._failed_trials = slow_trials
    talk, _ = flow(targets, clock, **call)
    step = next(talk)
    assert isinstance(step, Attempt) and step.target is targets[0]
    talk.close()
    return step.timeouts


def known(clock, answer: float = 5.0, first_token: float = 0.75, **more):
    made = target("gpt", clock, **{"timeouts": Timeouts(), **more})
    for _ in range(1000):
        made.health.usual.answer.note(answer)
        made.health.usual.first_token.note(first_token)
    return made


def test_a_trial_has_a_few_times_the_usual_time_while_others_can_answer(clock):
    local = target("local", clock)
    clocks = trial(clock, [known(clock), local], stream=True)
    assert clocks.first_token == pytest.approx(0.75 * TIMES, rel=0.1)
    assert (clocks.between_tokens, clocks.total) == (20.0, 120.0)
    assert trial(clock, [known(clock), local]).total == pytest.approx(5.0 * TIMES, rel=0.1)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("usual", [0.01, 0.3])
def test_no_trial_has_less_than_two_seconds(clock, stream, usual):
    clocks = trial(clock, [known(clock, usual, usual), target("local", clock)], stream=stream)
    assert (clocks.first_token if stream else clocks.total) == QUICK


def test_where_nothing_is_known_a_stream_has_two_seconds_and_a_whole_answer_its_time(clock):
    gpt, local = target("gpt", clock, timeouts=Timeouts()), target("local", clock)
    assert trial(clock, [gpt, local], stream=True).first_token == QUICK
    assert trial(clock, [gpt, local]) == Timeouts()


def test_every_second_slow_trial_has_twice_the_time_every_fourth_four_times(clock):
    gpt, local = target("gpt", clock, timeouts=Timeouts()), target("local", clock)
    asked = [trial(clock, [gpt, local], n, stream=True).first_token for n in range(17)]
    assert asked == [2, 2, 4, 2, 8, 2, 4, 2, LONG, 2, 4, 2, 8, 2, 4, 2, LONG]


def test_who_is_usually_slow_has_the_time_that_takes_up_to_its_own_limit(clock):
    slow, local = known(clock, 60.0, 6.0), target("local", clock)
    assert trial(clock, [slow, local], stream=True).first_token == pytest.approx(24.0, rel=0.1)
    assert trial(clock, [slow, local]).total == 120.0
    patient = known(clock, 60.0, 20.0, timeouts=Timeouts(first_token=None, total=None))
    clocks = trial(clock, [patient, local], stream=True)
    assert clocks.first_token == pytest.approx(80.0, rel=0.1)
    tight = known(clock, timeouts=Timeouts(first_token=1.0))
    assert trial(clock, [tight, local], stream=True).first_token == 1.0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "behind",
    [
        lambda clock: [],
        lambda clock: [target("b", clock, lacks=frozenset({"tools"}))],
        lambda clock: [_open("b", clock)],
    ],
)
def test_where_nobody_else_can_answer_it_has_all_its_time(clock, behind, stream):
    needs = frozenset({"tools"})
    assert trial(clock, [known(clock), *behind(clock)], stream=stream, needs=needs) == Timeouts()


def _open(name, clock):
    made = target(name, clock)
    made.health.breaker.trip("auth_failed", 300.0)
    return made


def test_a_local_model_may_have_to_load(clock):
    home, other = known(clock, local=True), target("b", clock)
    assert trial(clock, [home, other], stream=True) == Timeouts()


def test_only_a_trial_is_hurried(clock):
    talk, _ = flow([known(clock), target("local", clock)], clock, stream=True)
    assert next(talk).timeouts == Timeouts()
    talk.close()


def test_a_deadline_still_holds(clock):
    gpt, local = known(clock), target("local", clock)
    assert trial(clock, [gpt, local], deadline=clock() + 8.0).total == 6.0


@settings(deadline=None)
@given(
    slow=st.floats(0.1, 14.9), usual=st.one_of(st.none(), st.floats(0.1, 3.0)), stream=st.booleans()
)
def test_a_model_that_is_well_but_slow_passes_one_of_its_trials(slow, usual, stream):
    clock = FakeClock()
    gpt, local = target("gpt", clock, timeouts=Timeouts()), target("local", clock)
    if usual is not None:
        gpt.health.usual.first_token.note(usual)
        gpt.health.usual.answer.note(usual)
    guard, lost = gpt.health.breaker, 0.0
    guard.trip("failure_rate", 0.0)
    for _ in range(20):
        talk, _ = flow([gpt, local], clock, stream=stream)
        limits = next(talk).timeouts
        limit = limits.first_token if stream else limits.total
        if slow <= limit:
            guard.close() if stream else returned(talk, Answered("hello"))
            break
        clock.advance(limit)
        lost += limit
        talk.send(fails(Fault.TIMEOUT))
        talk.close()
        clock.advance(guard.retry_after)
    else:
        raise AssertionError("it never passed")
    assert lost <= 16 * 15


# A call every four seconds, and outages of all lengths.


def course(kind: str, stream: bool, length: float, seed: int) -> tuple[World, float]:
    world = World(seed)
    gpt = world.provider("gpt", Model(lognormal(1.0, 0.3)), [Outage(30.0, 30.0 + length, kind)])
    local = world.provider("local", Model(lognormal(0.2)))
    world.every(BEAT, [gpt, local], stream=stream)
    world.run(30.0 + length + 90.0)
    assert all(each.served_by or each.outcome == "interrupted" for each in world.calls)
    return world, 30.0 + length


@pytest.mark.parametrize("kind", ["refused", "500", "429", "hang"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_primary_is_used_soon_after_it_is_well(kind, stream):
    waits, minutes, tried, costs = [], 0.0, 0, [0.0]
    for seed in range(64):
        length = 10.0 + 10.25 * seed  # in all phases of a break
        world, healed = course(kind, stream, length, seed)
        waits.append(served_again(world, "gpt", healed))
        minutes += length / 60
        tried += trials(world, "gpt")
        costs += [
            each.duration
            for receipt in world.calls
            for each in receipt.attempts
            if each.target == "gpt" and each.breaker == "half-open"
        ]
    if kind == "hang":
        assert max(waits) <= 60.0
        assert tried <= minutes
        assert max(costs) <= LONG
    else:
        assert mean(waits) <= CYCLE / 2 + 0.5  # of so few
        assert max(waits) <= 20.0
        assert tried <= 4 * minutes
