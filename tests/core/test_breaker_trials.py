"""The breaker half-open: who gets a trial, for how long, and what comes of it."""

from __future__ import annotations

import math
from random import Random

import pytest
from kit import breaker, half_open, opened

from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.errors import CircuitOpen
from pilotlight.testing import FakeClock


def totals(guard) -> tuple[int, int, int]:
    window = guard.state.window
    return window.calls, window.failures, window.slow


# Half-open.


@pytest.mark.parametrize("places", [1, 3])
def test_all_trials_must_succeed_to_close(clock, places):
    guard = half_open(clock, trial_calls=places)
    permits = [guard.acquire() for _ in range(places)]
    with pytest.raises(CircuitOpen):
        guard.acquire()
    for permit in permits:
        assert (permit.trial, guard.current_state) == (True, "half-open")
        permit.success()
    assert (guard.current_state, guard.reason) == ("closed", "")
    assert not guard.acquire().trial


def test_places_of_successful_trials_stay_taken(clock):
    guard = half_open(clock, trial_calls=2)
    guard.acquire().success()
    guard.acquire()
    with pytest.raises(CircuitOpen):
        guard.acquire()


def test_one_failed_trial_opens_again_and_a_late_success_is_ignored(clock):
    guard = half_open(clock, trial_calls=2)
    first, second = guard.acquire(), guard.acquire()
    first.failure(OSError())
    assert (guard.current_state, guard.reason) == ("open", "trial_failed")
    second.success()
    assert guard.current_state == "open"


def test_a_released_trial_gives_its_place_to_another(clock):
    guard = half_open(clock)
    guard.acquire().release()
    assert guard.current_state == "half-open"
    guard.acquire().success()
    assert guard.current_state == "closed"


def test_a_lost_trial_frees_its_place_when_its_lease_ends(clock):
    guard = half_open(clock)
    guard.acquire()
    clock.advance(14.9)
    with pytest.raises(CircuitOpen) as caught:
        guard.acquire()
    assert caught.value.retry_after == pytest.approx(0.1)
    clock.advance(0.2)
    guard.acquire().success()
    assert guard.current_state == "closed"


def test_a_lease_lasts_as_long_as_the_call_may_take(clock):
    guard = half_open(clock)
    guard.acquire(lease=120.0)
    clock.advance(119)
    assert guard.retry_after == pytest.approx(1.0)
    clock.advance(1)
    assert guard.retry_after is None


def test_a_trial_that_outlived_its_lease_has_no_place_to_give_back(clock):
    guard = half_open(clock, trial_calls=2)
    lost, _also_lost = guard.acquire(), guard.acquire()
    clock.advance(15)
    guard.acquire(), guard.acquire()
    lost.release()
    with pytest.raises(CircuitOpen):
        guard.acquire()


def test_a_trial_that_outlived_its_lease_still_has_its_say(clock):
    guard = half_open(clock)
    slow = guard.acquire()
    clock.advance(15)
    guard.acquire()
    slow.success()
    assert guard.current_state == "closed"


def test_outcomes_of_an_earlier_state_are_ignored(clock):
    guard = breaker(clock)
    slow, tripping, good = guard.acquire(), guard.acquire(), guard.acquire()
    for _ in range(4):
        guard.acquire().failure(OSError())
    clock.advance(15)
    trial = guard.acquire()
    slow.failure(TimeoutError())
    tripping.trip("auth_failed", math.inf)
    assert guard.current_state == "half-open"
    good.success()
    assert guard.current_state == "half-open"  # or a success from before would close it
    trial.success()
    assert guard.current_state == "closed"


def test_outcomes_from_before_a_break_do_not_count_after_it(clock):
    guard = breaker(clock)
    old = guard.acquire()
    guard.trip("drill", 1.0)
    clock.advance(1)
    guard.acquire().success()
    old.failure(OSError())
    assert totals(guard) == (0, 0, 0)


# How long a break lasts.


def breaks(clock, cost: float, number: int = 5, **numbers) -> list[float]:
    """The first breaks of an outage in which each call takes so long to fail.

    Each is counted from where the failed call began.
    """
    guard, found = breaker(clock, max_reset_timeout=100.0, window=1000.0, **numbers), []
    while len(found) < number:
        permit = guard.acquire()
        clock.advance(cost)
        permit.failure(OSError())
        if guard.current_state == "open":
            found.append(cost + guard.retry_after)
            clock.advance(guard.retry_after)
    return found


@pytest.mark.parametrize("cost", [0.0, 0.003, 0.5, 0.9])
def test_failures_that_come_fast_cost_nobody_anything_and_the_break_stays_short(clock, cost):
    assert breaks(clock, cost) == pytest.approx([15.0] * 5)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (1.0, [16.0, 32.0, 64.0, 100.0, 100.0]),
        (2.0, [32.0, 64.0, 100.0, 100.0, 100.0]),
        (30.0, [100.0] * 5),
        (80.0, [130.0] * 5),  # half of a break is left in any case
    ],
)
def test_failures_that_made_a_caller_wait_lengthen_it_up_to_a_cap(clock, cost, expected):
    assert breaks(clock, cost) == pytest.approx(expected)


@pytest.mark.parametrize("way", ["a success", "a fast failure"])
def test_then_it_begins_anew(clock, way):
    guard = half_open(clock, max_reset_timeout=100.0)

    def slow_trial() -> float:
        permit = guard.acquire()
        clock.advance(2.0)
        permit.failure(OSError())
        return 2.0 + guard.retry_after

    for expected in (32.0, 64.0):
        assert slow_trial() == expected
        clock.advance(guard.retry_after)
    permit = guard.acquire()
    if way == "a success":
        permit.success()
        guard.trip("failure_rate")
    else:
        permit.failure(OSError())
    assert guard.retry_after == 15.0
    clock.advance(15.0)
    assert slow_trial() == 32.0


def test_a_longest_break_below_the_usual_does_not_shorten_it(clock):
    guard = opened(clock, reset_timeout=90.0, max_reset_timeout=60.0)
    assert guard.retry_after == 90.0


def test_breaks_have_jitter_and_are_never_longer_than_was_said():
    clock, random = FakeClock(), Random(1)
    guard = Breaker("gpt", BreakerPolicy(), clock=clock, chance=random.random)
    found = set()
    for _ in range(200):
        guard.trip("failure_rate")
        found.add(round(guard.retry_after, 3))
    assert min(found) >= 16.0 * 11 / 12 and max(found) <= 16.0
    assert len(found) > 100 and max(found) - min(found) > 1.2


@pytest.mark.parametrize(("late", "left"), [(0.0, 16.0), (3.0, 13.0), (8.0, 8.0), (900.0, 8.0)])
def test_a_trial_that_came_late_and_failed_fast_is_soon_tried_again(clock, late, left):
    guard = opened(clock, reset_timeout=16.0)
    clock.advance(16.0 + late)
    guard.acquire().failure()
    assert guard.retry_after == left


def test_a_late_trial_that_made_its_caller_wait_is_not(clock):
    guard = opened(clock, reset_timeout=16.0)
    clock.advance(16.0 + 7.0)
    permit = guard.acquire()
    clock.advance(2.0)
    permit.failure()
    assert guard.retry_after == 2.0 * 16 - 2.0


def test_who_trips_it_from_outside_has_tried_nothing(clock):
    guard = opened(clock, reset_timeout=16.0)
    clock.advance(16.0 + 7.0)
    guard.acquire().release()
    guard.trip("health_check")
    assert guard.retry_after == 16.0


def test_a_time_that_was_named_has_none(clock):
    guard = Breaker("gpt", clock=clock, chance=lambda: 1.0)
    guard.acquire().trip("rate_limited", 42.0)
    assert guard.retry_after == 42.0


@pytest.mark.parametrize("fault", ["rate_limited", "quota_exhausted"])
def test_a_throttle_without_a_time_is_left_for_the_usual_break(clock, fault):
    guard = breaker(clock)
    guard.acquire().trip(fault)
    assert guard.retry_after == 15.0


@pytest.mark.parametrize(
    "fail",
    [
        lambda permit, own: permit.failure(ConnectionError(), own),
        lambda permit, own: permit.trip("rate_limited", None, own),
    ],
    ids=["failure", "trip"],
)
def test_what_this_process_took_itself_lengthens_no_break(clock, fail):
    guard = half_open(clock)
    permit = guard.acquire()
    clock.advance(4.0)
    fail(permit, 4.0)
    assert guard.retry_after == 15.0
    other = half_open(clock)
    permit = other.acquire()
    clock.advance(4.0)
    fail(permit, 0.0)
    assert other.retry_after > 15.0
