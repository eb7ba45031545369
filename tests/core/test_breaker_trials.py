"""The breaker half-open: who gets a trial, for how long, and what comes of it."""

from __future__ import annotations

import math

import pytest
from kit import breaker, half_open, opened

from pilotlight.errors import CircuitOpen


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


def test_failed_trials_lengthen_the_break_up_to_a_cap_and_a_success_resets_it(clock):
    guard = opened(clock, max_break=100.0)
    breaks = []
    for _ in range(5):
        breaks.append(guard.retry_after)
        clock.advance(guard.retry_after)
        guard.acquire().failure(OSError())
    assert breaks == [15.0, 30.0, 60.0, 100.0, 100.0]
    clock.advance(100)
    guard.acquire().success()
    for _ in range(4):
        guard.acquire().failure(OSError())
    assert guard.retry_after == 15.0
