"""Planning for targets that may never be called changes nothing; a call at the door asks once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import fails, flow, target, trip

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.breaker.turn import Turn
from pilotlight.core.flow.decisions import allowance, refusal
from pilotlight.core.flow.steps import Queue
from pilotlight.core.provider import Answered, Attempt
from pilotlight.errors import AllTargetsFailed
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault

BREAK = 15.0
QUICK = BreakerPolicy(minimum_calls=1, failure_rate=1.0, reset_timeout=BREAK, trial_calls=2)


class Lease:
    """A fleet's say in trials, that writes down who asked it for one."""

    def __init__(self, ours: bool) -> None:
        self.ours, self.asked_at = ours, []

    def wait(self, now, until):
        if now < until:
            return until - now
        return None if self.ours else 1.0

    def asked(self, now, until) -> None:
        self.asked_at.append(now)

    hope = None

    def turn(self, now, until):
        return self.hope


def broken(name, clock, *, ours):
    """A target whose breaker has just opened, in a fleet where the trial is ours or not."""
    made = target(name, clock, breaker=QUICK)
    made.health.breaker.gate = Lease(ours)
    made.health.breaker.trip("server_error", BREAK)
    return made


@pytest.mark.parametrize("deadline", [None, 30.0])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("passed", [0.0, BREAK - 1, BREAK, 10 * BREAK])
def test_a_healthy_primary_wants_no_trial_of_its_fallbacks(clock, deadline, ours, passed):
    behind = [broken("b", clock, ours=ours), broken("c", clock, ours=ours)]
    clock.advance(passed)
    until = None if deadline is None else clock() + deadline
    talk, recorder = flow([target("a", clock), *behind], clock, deadline=until)
    next(talk)
    with pytest.raises(StopIteration):
        talk.send(Answered("well"))
    assert recorder.receipt().outcome == "primary"
    assert [each.health.breaker.gate.asked_at for each in behind] == [[], []]
    assert {each.health.breaker.state.name for each in behind} == {"open"}


@pytest.mark.parametrize("deadline", [None, 30.0])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("passed", [0.0, BREAK])
def test_a_call_at_the_door_asks_once(clock, deadline, ours, passed):
    behind = [broken("b", clock, ours=ours), broken("c", clock, ours=ours)]
    clock.advance(passed)
    until = None if deadline is None else clock() + deadline
    talk, _ = flow([target("a", clock), *behind], clock, deadline=until)
    try:
        step = next(talk)
        while isinstance(step, Attempt):
            step = talk.send(fails(Fault.TIMEOUT))
    except AllTargetsFailed:
        pass
    assert [each.health.breaker.gate.asked_at for each in behind] == [[clock()], [clock()]]


@pytest.mark.parametrize("comes", [True, False])
@pytest.mark.parametrize(("deadline", "waits"), [(None, 0.8), (30.0, 0.8), (0.8, 0.3)])
def test_a_call_may_wait_a_moment_for_its_fleets_trial(clock, deadline, waits, comes):
    """Not at the expense of the others' reserve: of 0.8 s a quarter is kept for the next one.

    Nor of the trial's own time, which is as long at least.
    """
    a = broken("a", clock, ours=False)
    clock.advance(BREAK)
    lease = a.health.breaker.gate
    lease.hope = Turn(0.8)
    until = None if deadline is None else clock() + deadline
    talk, _ = flow([a, target("b", clock)], clock, deadline=until)
    assert next(talk) == Queue(lease.hope, pytest.approx(waits))
    lease.ours = comes
    assert talk.send(None).target.name == ("a" if comes else "b")
    assert lease.hope.over, "nobody waits any more"
    talk.close()


def test_a_call_that_is_cancelled_while_it_waits_waits_no_more(clock):
    a = broken("a", clock, ours=False)
    clock.advance(BREAK)
    a.health.breaker.gate.hope = Turn(0.8)
    talk, recorder = flow([a], clock)
    next(talk)
    talk.close()
    assert a.health.breaker.gate.hope.over
    assert recorder.receipt().outcome == "cancelled"


def seen(one):
    """All that a breaker knows, as far as the next decision hangs on it."""
    state = one.health.breaker.state
    facts = {
        name: value if isinstance(value, int | float | str) else repr(value)
        for name, value in vars(state).items()
        if name not in ("_breaker", "window")
    }
    leave = one.health.breaker.gate
    return (state, facts, None if leave is None else list(leave.asked_at))


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(data=st.data())
def test_whatever_state_a_target_is_in_planning_leaves_it_so(data):
    clock = FakeClock()
    targets = []
    for name in "abc":
        one = target(name, clock, breaker=QUICK, local=data.draw(st.booleans()))
        if data.draw(st.booleans()):
            one.health.breaker.gate = Lease(data.draw(st.booleans()))
        targets.append(one)
        match data.draw(st.sampled_from(["well", "open", "over", "trial", "lost trial"])):
            case "open":
                one.health.breaker.trip("server_error", 1e6)
            case "over":
                one.health.breaker.trip("server_error", 0.0)
            case "trial" | "lost trial" as state:
                one.health.breaker.trip("server_error", 0.0)
                one.health.breaker.gate = None
                one.health.breaker.acquire(1.0)
                one.health.breaker.acquire(1.0)
                clock.advance(1e3 if state == "lost trial" else 0.0)
    made = trip(targets, clock, deadline=clock() + 30, private=data.draw(st.booleans()))
    before = [seen(each) for each in targets]
    for _ in range(2):
        allowance(made, targets)
        for each in targets:
            refusal(made, each)
            each.health.breaker.retry_after  # noqa: B018 - to look at it is the test
    assert [seen(each) for each in targets] == before


def test_what_an_api_can_not_be_told_is_asked_once_for_a_call(clock):
    """Plans ask again and again who could answer, and some have to write the request to know."""
    asked = []
    a, b = target("a", clock), target("b", clock)
    b.unable = lambda call: asked.append(call) or ""
    for _ in range(2):
        talk, _ = flow([a, b], clock, deadline=clock() + 30)
        next(talk)
        assert talk.send(fails(Fault.TIMEOUT)).target is b
        talk.close()
    assert len(asked) == 2
