"""Whatever the traffic, a healed endpoint is found by the first calls after its break, by one trial."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim import KEY
from world import Sick, World, by_turns

from pilotlight.state.member import FRESH, HOPE, LEASE, LOST_AFTER, REFRESH

SPREAD = 2.0  # seconds until all have read a notice
LATE = LOST_AFTER - REFRESH - 0.1  # a process that looks later still is on its own
HANDED_ON = FRESH + 2 * REFRESH  # seconds until a process that had calls a moment ago lets go


def ill(number: int, *, heals_after: float = 5.0, **more) -> World:
    """A fleet that all know of the outage; the endpoint heals within the first break."""
    takes = {key: more.pop(key) for key in ("failing_takes", "answer_takes") if key in more}
    world = World(number, Sick(1e9, **takes), **more)
    world.break_everywhere()
    world.sick.heals = world.clock() + heals_after
    return world


def back(world: World, since: float) -> tuple[int, float]:
    """After how many calls that went without it, and seconds, the endpoint served one again."""
    served = world.served_after(since)
    assert served is not None, "never"
    earlier = [each for each in world.calls if since <= each.began < served.began]
    return len(earlier), served.began - since


@pytest.mark.parametrize("total_timeout", [None, 30.0])
@pytest.mark.parametrize("gap", [2.0, 12.0, 60.0])
@pytest.mark.parametrize(("busy", "idle"), [(1, 0), (1, 5), (2, 1), (3, 1), (5, 3)])
def test_rare_calls_by_turns_find_it_with_the_first_after_the_break(busy, idle, gap, total_timeout):
    world = ill(busy + idle, total_timeout=total_timeout)
    calls = by_turns(world, list(range(busy)), gap)
    world.run(world.last_break + SPREAD)
    since = world.clock()
    for _ in range(2 * busy + 3):
        next(calls)
        world.run(world.clock() + 1.0)
    assert back(world, since)[0] == 0
    assert world.most_trying == 1
    assert {each.process.state for each in world.members} == {"closed"}


@pytest.mark.parametrize("gap", [3.0, 12.0])
def test_bursts_by_turns(gap):
    """The whole burst stands at the door; one of it waits, tries, and the next burst is served."""
    world = ill(3)
    calls = by_turns(world, [0, 1], gap, burst=8)
    world.run(world.last_break + SPREAD)
    since = world.clock()
    for _ in range(4):
        next(calls)
    assert back(world, since)[1] <= HOPE
    assert world.most_trying == 1


def test_a_holder_that_dies_in_its_trial_is_followed_by_another_when_its_lease_is_over():
    world = ill(3, answer_takes=3.0)
    world.run(world.last_break + SPREAD)
    world.call(0)
    world.run(world.clock() + 1.0)
    assert world.trying
    world.members[0].die()
    since = world.clock()
    for _ in range(20):
        world.run(world.clock() + 1.0)
        world.call(1)
    assert back(world, since)[1] <= LEASE + SPREAD
    assert world.most_trying == 1


def test_a_store_that_is_slow_costs_one_call_a_moment_and_the_next_has_the_lease():
    """As where nobody looks at the board while the call waits."""
    world = ill(1)
    world.run(world.last_break + SPREAD)
    member = world.members[0]
    member._due += 1  # no look is due any more
    waits = world.call(0)
    member._due += 1  # nor the one for which it woke the thread
    world.run(world.clock() + 2 * HOPE)
    assert waits.over is not None
    assert waits.over - waits.began == pytest.approx(HOPE)
    assert not waits.asked
    member.process.step()
    assert world.call(0).asked


@pytest.mark.parametrize("waits", [True, False])
def test_a_call_waits_only_where_nobody_has_the_lease(waits):
    world = ill(2)
    world.run(world.last_break + SPREAD)
    if not waits:
        from pilotlight.state.board import claim

        world.board.exchange([claim(f"trial:{KEY}", "another", LEASE)])
        world.run(world.clock() + 1.5)
    made = world.call(0)
    assert (made.over is None) is waits


TRAFFIC = st.lists(
    st.tuples(
        st.integers(0, 5),  # who is called
        st.sampled_from([0.0, 0.1, 0.6, 1.0, 5.0, 12.0, 40.0]),  # how long after the last one
        st.integers(1, 4),  # how many at once
    ),
    min_size=4,
    max_size=12,
)
FLEETS = {
    "number": st.integers(1, 6),
    "seed": st.integers(0, 10_000),
    "failing_takes": st.sampled_from([0.01, 2.0, 10.0]),
    "answer_takes": st.sampled_from([0.05, 4.0, 20.0]),
    "heals_after": st.floats(0.0, 200.0),
    "traffic": TRAFFIC,
}


def play(world: World, traffic) -> None:
    """Repeat a pattern of traffic until the healed endpoint has served a call."""
    began, turn = world.clock(), 0
    while world.served_after(world.sick.heals) is None:
        who, gap, burst = traffic[turn % len(traffic)]
        turn += 1
        world.run(world.clock() + gap)
        for _ in range(burst):
            world.call(who % len(world.members))
        assert world.most_trying <= 1
        world.run(world.clock() + 0.05)
        assert world.clock() < began + 3000, "a livelock"
    assert world.most_trying <= 1


def assert_found(world: World, since: float, within: float) -> None:
    """Nothing but a lack of calls may keep it from serving, so many seconds after one came."""
    served = world.served_after(world.sick.heals)
    wanted = [each.began for each in world.calls if since <= each.began < served.began]
    assert not wanted or wanted[-1] <= wanted[0] + within


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(**FLEETS, total_timeout=st.sampled_from([None, 30.0]), apart=st.sampled_from([0.0, 1e6]))
def test_any_pattern_of_traffic(traffic, **more):
    world = ill(**more)
    play(world, traffic)
    assert_found(world, max(world.sick.heals, world.last_break) + SPREAD, HANDED_ON)


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(**FLEETS, who=st.integers(0, 5), after=st.floats(0.0, 60.0))
def test_one_that_dies_is_waited_for_until_its_lease_is_over(traffic, who, after, **more):
    world = ill(**more | {"number": more["number"] + 1})
    dies = world.sick.heals + after
    world.at(dies, world.members[who % len(world.members)].die)
    play(world, [*traffic, (who + 1, 1.0, 1)])
    since = max(world.sick.heals, world.last_break, dies + LEASE) + SPREAD
    assert_found(world, since, HANDED_ON)


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(
    **FLEETS | {name: st.just(0.01) for name in ("failing_takes", "answer_takes")},
    total_timeout=st.sampled_from([None, 30.0, 0.6, 0.1]),
    late=st.floats(0.0, LATE),
)
def test_calls_that_can_hardly_wait_and_looks_that_come_late_are_no_livelock(traffic, **more):
    """Each call that came too early for the lease lengthens the time that it is kept for calls."""
    play(ill(**more), traffic)


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(
    seconds=st.floats(0.5, 4.0),
    after=st.floats(0.1, 3.0),
    gaps=st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0]), min_size=6, max_size=12),
    seed=st.integers(0, 10_000),
)
def test_a_longer_break_elsewhere_makes_no_second_trial_while_one_is_on_the_wire(
    seconds, after, gaps, seed
):
    world = ill(2, answer_takes=6.0, seed=seed)
    world.run(world.last_break + SPREAD)
    world.call(0)
    world.run(world.clock() + after)
    world.members[1].process.breaker.prolong(seconds)
    for gap in gaps:
        world.run(world.clock() + gap)
        world.call(1)
        assert world.most_trying <= 1
