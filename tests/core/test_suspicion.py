"""A target that seems to have died is spared the calls that others can answer."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from kit import PATIENCE, fails, flow, in_threads, returned, target

from benchmarks.recovery_sim import Model, Outage, World, lognormal
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.steps import Queue
from pilotlight.core.health.usual import FLOOR, TIMES, Average
from pilotlight.core.provider import Answered, Attempt, Ended, Failed, Opened, Report, Timeouts
from pilotlight.errors import AllTargetsFailed
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault

MISSING = 3  # failures more that open a breaker of the usual numbers, after two


def failed(one, clock, times: int = 2) -> None:
    """Let so many calls fail at a target."""
    for _ in range(times):
        one.health.breaker.acquire().failure(OSError())


def known(one, seconds: float) -> None:
    """Let a target be known to take so long."""
    for average in (one.health.usual.answer, one.health.usual.first_token):
        average.note(seconds)
        average.far = TIMES * seconds


def send(targets, clock, number: int, **call) -> list[str]:
    """Begin so many calls, and tell whom each asks first."""
    talks = [flow(targets, clock, **call)[0] for _ in range(number)]
    asked = [next(talk).target.name for talk in talks]
    send.under_way.extend(talks)
    return asked


send.under_way = []


@pytest.fixture(autouse=True)
def _no_call_is_left():
    yield
    for talk in send.under_way:
        talk.close()
    send.under_way.clear()


# How many may go.


@settings(deadline=None, max_examples=settings().max_examples * 4)
@example(minimum=1, row=10, rate=0.9, before=1, failures=2)  # 0.7 / 0.1 is a little above 7
@given(
    minimum=st.integers(1, 12),
    row=st.integers(1, 12),
    rate=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    before=st.integers(0, 30),
    failures=st.integers(2, 11),
)
def test_as_many_are_in_flight_as_could_still_open_the_circuit(
    minimum, row, rate, before, failures
):
    clock = FakeClock()
    policy = BreakerPolicy(failure_rate=rate, minimum_calls=minimum, consecutive_failures=row)
    gpt, local = target("gpt", clock, breaker=policy), target("local", clock)
    guard = gpt.health.breaker
    for _ in range(before):
        guard.acquire().success()
    for _ in range(failures):
        if guard.current_state == "closed":
            failed(gpt, clock, 1)
    assume(guard.current_state == "closed")
    permits = []
    while not guard.suspected:
        permits.append(guard.acquire(wary=True))
    for permit in permits[:-1]:
        permit.failure(OSError())
        assert guard.current_state == "closed"  # one less would not have decided
    permits[-1].failure(OSError())
    assert guard.current_state == "open"  # and so many do
    assert next(flow([gpt, local], clock)[0]).target is local


def test_the_others_go_on_to_the_next_target_at_once(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    assert send([gpt, local], clock, 20) == ["gpt"] * MISSING + ["local"] * (20 - MISSING)
    talk, recorder = flow([gpt, local], clock)
    next(talk)
    returned(talk, Answered("hello"))
    assert [(s.target, s.reason) for s in recorder.skipped] == [("gpt", "suspected")]
    assert recorder.outcome == "failover"


@pytest.mark.parametrize("failures", [0, 1])
def test_one_failure_is_no_sign(clock, failures):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock, failures)
    assert send([gpt, local], clock, 50) == ["gpt"] * 50


def test_it_can_be_switched_off(clock):
    gpt = target("gpt", clock, breaker=BreakerPolicy(suspicion=False))
    failed(gpt, clock)
    assert send([gpt, target("local", clock)], clock, 50) == ["gpt"] * 50


def test_failures_that_the_window_has_forgotten_are_none(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    clock.advance(31.0)
    assert send([gpt, local], clock, 50) == ["gpt"] * 50


# Any sign of life clears it.


def test_an_answer_clears_it(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING)
    assert send([gpt, local], clock, 1) == ["local"]
    returned(send.under_way[0], Answered("hello"))
    assert send([gpt, local], clock, 50) == ["gpt"] * 50


def test_a_first_token_clears_it(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING, stream=True)
    assert send([gpt, local], clock, 1, stream=True) == ["local"]
    send.under_way[0].send(Opened())
    assert send([gpt, local], clock, 50, stream=True) == ["gpt"] * 50


def test_a_call_that_was_given_up_only_makes_room(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING)
    send.under_way[0].close()
    assert send([gpt, local], clock, 3) == ["gpt", "local", "local"]


# Calls in flight that say nothing.


def test_calls_that_are_silent_far_beyond_the_usual_are_failures_to_come(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    known(gpt, 2.0)
    send([gpt, local], clock, 10)
    clock.advance(2.0 * TIMES - 0.1)
    assert send([gpt, local], clock, 1) == ["gpt"]
    clock.advance(0.1)
    assert send([gpt, local], clock, 5) == ["local"] * 5
    returned(send.under_way[0], Answered("hello"))  # so the nine are only slow
    assert send([gpt, local], clock, 30) == ["gpt"] * 30


@pytest.mark.parametrize(("stream", "after"), [(True, 10.0), (False, 40.0)])
def test_of_an_unknown_target_a_third_of_its_limit_is_far(clock, stream, after):
    gpt, local = target("gpt", clock, timeouts=Timeouts()), target("local", clock)
    send([gpt, local], clock, 6, stream=stream)
    clock.advance(after - 0.1)
    assert send([gpt, local], clock, 1, stream=stream) == ["gpt"]
    clock.advance(0.1)
    assert send([gpt, local], clock, 1, stream=stream) == ["local"]


def test_a_failure_and_a_silent_call_are_two(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    known(gpt, 2.0)
    send([gpt, local], clock, 5)
    clock.advance(5.0)
    send([gpt, local], clock, 1)
    clock.advance(3.0)
    send.under_way[0].close()
    assert send([gpt, local], clock, 1) == ["local"]


def test_streams_that_are_read_for_long_are_no_sign(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    known(gpt, 0.5)
    send([gpt, local], clock, 20, stream=True)
    for talk in send.under_way:
        talk.send(Opened())
    clock.advance(1000.0)
    assert send([gpt, local], clock, 20, stream=True) == ["gpt"] * 20


def test_calls_that_were_lost_do_not_keep_it_up_for_ever(clock):
    gpt = target("gpt", clock, timeouts=Timeouts(total=60.0))
    local = target("local", clock)
    for _ in range(10):  # as of a forked child's parent: they never end here
        gpt.health.breaker.acquire(lease=60.0, patience=1.0)
    clock.advance(59.0)
    assert send([gpt, local], clock, 1) == ["local"]
    clock.advance(1.0)
    assert send([gpt, local], clock, 50) == ["gpt"] * 50


# Nobody is worse off for it.


@pytest.mark.parametrize(
    "behind",
    [
        lambda clock: [],
        lambda clock: [target("b", clock, lacks=frozenset({"tools"}))],
        lambda clock: [_open("b", clock)],
        lambda clock: [_open("b", clock), target("c", clock, lacks=frozenset({"tools"}))],
    ],
)
def test_where_nobody_else_is_able_all_go_as_ever(clock, behind):
    gpt = target("gpt", clock)
    failed(gpt, clock)
    asked = send([gpt, *behind(clock)], clock, 50, needs=frozenset({"tools"}))
    assert asked == ["gpt"] * 50


def _open(name, clock):
    made = target(name, clock)
    made.health.breaker.trip("auth_failed", 300.0)
    return made


@pytest.mark.parametrize("how", ["fails", "is full"])
def test_where_the_others_can_not_answer_it_is_asked_after_all(clock, how):
    gpt, local = target("gpt", clock), target("local", clock, concurrency=1)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING)
    if how == "is full":
        local.health.bulkhead.enter(None)
    talk, recorder = flow([gpt, local], clock)
    step = next(talk)
    if how == "fails":
        assert step.target is local
        step = talk.send(fails(Fault.SERVER_ERROR))
    assert step.target is gpt
    assert returned(talk, Answered("hello")) == "hello"
    assert recorder.outcome == "primary"


def test_nobody_queues_for_it(clock):
    gpt, local = target("gpt", clock, concurrency=4, queue=50), target("local", clock)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING)
    gpt.health.bulkhead.enter(None)
    step = next(flow([gpt, local], clock)[0])
    assert isinstance(step, Attempt) and step.target is local
    alone, _ = flow([gpt], clock)
    assert isinstance(next(alone), Queue)
    alone.close()


def test_a_permit_that_is_asked_for_plainly_is_never_refused_for_it(clock):
    gpt = target("gpt", clock)
    failed(gpt, clock)
    permits = [gpt.health.breaker.acquire() for _ in range(50)]
    assert gpt.health.breaker.suspected and len(permits) == 50


# Two hundred at once.


class Dead:
    """A provider that has died: whoever asks waits until all have asked, and fails."""

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()
        self.others_are_through = threading.Event()
        self.also = asyncio.Event()

    def prepare(self) -> None: ...

    def count(self) -> Failed:
        with self._lock:
            self.asked += 1
        return Failed(Report(Fault.SERVER_ERROR, OSError(), status=500))

    def complete(self, call, attempt):
        said = self.count()
        assert self.others_are_through.wait(PATIENCE)
        return said

    async def acomplete(self, call, attempt):
        said = self.count()
        await asyncio.wait_for(self.also.wait(), PATIENCE)
        return said


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_of_two_hundred_calls_at_a_target_that_has_just_died_ten_reach_it_at_most(way):
    dead = Dead()
    gpt, local = ScriptedTarget("gpt"), ScriptedTarget("local", "hello")
    gpt.provider = dead
    route = Route("chat", (gpt, local))
    failed(gpt, None)
    messages = [{"role": "user", "content": "hello"}]
    through = []

    def note(answer) -> None:
        through.append(answer.served_by)
        if len(through) == 200 - MISSING:
            dead.others_are_through.set()
            dead.also.set()

    async def one() -> None:
        note(await route.acomplete(messages))

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(200)))

    if way == "tasks":
        asyncio.run(all_of_them())
    else:
        in_threads(200, lambda _: note(route.complete(messages)))
    assert through == ["local"] * 200
    assert 2 + dead.asked <= 10
    assert gpt.health.breaker.current_state == "open"


@pytest.mark.parametrize("kind", ["refused", "500", "hang"])
@pytest.mark.parametrize(("rate", "takes"), [(3.0, 1.0), (50.0, 4.0)])  # 3 or 200 in flight
@pytest.mark.parametrize("seed", range(3))
def test_a_primary_that_dies_under_load_is_asked_ten_times_more_at_most(kind, rate, takes, seed):
    world = World(seed)
    gpt = world.provider("gpt", Model(lognormal(takes)), [Outage(30.0, 1e9, kind)])
    world.poisson(rate, [gpt, world.provider("local", Model(lognormal(0.2)))])
    world.run(45.0)
    assert sum(moment >= 30.0 for moment in gpt.asked) <= 10


@pytest.mark.parametrize("seed", range(3))
def test_a_surge_after_a_pause_is_no_sign(seed):
    """Two hundred calls at one moment find a well provider well."""
    world = World(seed)
    gpt = world.provider("gpt", Model(lognormal(1.0)))
    chain = [gpt, world.provider("local", Model(lognormal(0.2)))]
    world.every(0.05, chain)
    for moment in (10.0, 20.0, 20.5):
        world.at(moment, lambda: [world.call(chain) for _ in range(200)])
    world.run(30.0)
    asked = sum(receipt.served_by == "gpt" for receipt in world.calls)
    assert asked >= 0.995 * len(world.calls)


def test_few_calls_of_a_well_provider_are_sent_elsewhere_by_it():
    """Fifty calls a second, of which three in a hundred fail at random."""
    elsewhere = calls = 0
    for seed in range(4):
        world = World(seed)
        gpt = world.provider("gpt", Model(lognormal(1.0), fails=0.03))
        world.poisson(50.0, [gpt, world.provider("local", Model(lognormal(0.2)))])
        world.run(90.0)
        calls += len(world.calls)
        elsewhere += sum(
            skip.reason == "suspected" for each in world.calls for skip in each.skipped
        )
        assert gpt.target.health.breaker.current_state == "closed"
    assert elsewhere <= 0.005 * calls


# What is usual.


def test_the_usual_time_is_a_moving_mean():
    average = Average()
    assert average.far is None
    average.note(3.0)
    assert average.mean == 3.0
    average.note(5.0)
    assert average.mean == 4.0
    for _ in range(500):
        average.note(1.0)
    assert average.mean == pytest.approx(1.0, abs=0.01)
    assert average.far == pytest.approx(TIMES, rel=0.1)
    for _ in range(500):
        average.note(0.01)
    assert average.far == FLOOR


def test_of_a_few_calls_none_may_have_been_a_long_one():
    average, far = Average(), []
    for _ in range(10):
        average.note(3.0)
        far.append(average.far)
    assert far[0] == 3 * TIMES * 3.0
    assert far == sorted(far, reverse=True)


def test_it_is_learned_from_what_went_well_alone(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    for outcome, takes in ((Answered("hello"), 2.0), (fails(Fault.TIMEOUT), 30.0)):
        talk, _ = flow([gpt, local], clock)
        next(talk)
        clock.advance(takes)
        if isinstance(outcome, Answered):
            returned(talk, outcome)
        else:
            talk.send(outcome)
            talk.close()
    assert gpt.health.usual.answer.mean == 2.0
    assert gpt.health.usual.first_token.far is None
    talk, _ = flow([gpt, local], clock, stream=True)
    next(talk)
    clock.advance(0.7)
    talk.send(Opened())
    clock.advance(60.0)  # as long as its reader likes
    with pytest.raises(StopIteration):
        talk.send(Ended())
    assert gpt.health.usual.first_token.mean == pytest.approx(0.7)
    assert gpt.health.usual.answer.mean == 2.0


def test_a_target_that_falls_silent_is_noticed_before_its_calls_are_overdue(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    known(gpt, 10.0)
    for _ in range(60):  # two answers a second
        clock.advance(0.5)
        gpt.health.breaker.acquire().success()
    send([gpt, local], clock, 1)
    clock.advance(9.9)
    send([gpt, local], clock, 9)
    assert send([gpt, local], clock, 1) == ["gpt"]  # none is late yet
    clock.advance(0.1)
    assert send([gpt, local], clock, 1) == ["local"]
    returned(send.under_way[0], Answered("hello"))
    assert send([gpt, local], clock, 20) == ["gpt"] * 20


def test_all_failed_says_so(clock):
    gpt, local = target("gpt", clock), target("local", clock)
    failed(gpt, clock)
    send([gpt, local], clock, MISSING)
    talk, _ = flow([gpt, local], clock)
    next(talk)
    talk.send(fails(Fault.SERVER_ERROR))
    with pytest.raises(
        AllTargetsFailed, match="gpt suspected, then server_error\n  local server_error"
    ):
        talk.send(fails(Fault.SERVER_ERROR))
