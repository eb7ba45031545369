"""The breaker by itself: when it opens, for how long, and which outcomes have a say."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from kit import breaker, half_open, opened

from pilotlight.core.breaker import BreakerPolicy
from pilotlight.errors import CircuitOpen


def totals(guard) -> tuple[int, int, int]:
    window = guard.state.window
    return window.calls, window.failures, window.slow


# Opening.


def test_opens_when_half_of_the_calls_fail(clock):
    guard = breaker(clock)
    for _ in range(2):
        guard.acquire().success()
    guard.acquire().failure(OSError())
    assert guard.current_state == "closed"  # 1 of 3
    guard.acquire().failure(OSError())
    assert guard.current_state == "open"  # 2 of 4


def test_stays_closed_below_the_failure_rate(clock):
    guard = breaker(clock, failure_rate=0.6)
    for _ in range(4):
        guard.acquire().success()
        guard.acquire().failure(OSError())
    assert guard.current_state == "closed"


def test_stays_closed_below_the_minimum_of_calls(clock):
    guard = breaker(clock, minimum_calls=4)
    for _ in range(3):
        guard.acquire().failure(OSError())
    assert guard.current_state == "closed"
    guard.acquire().failure(OSError())
    assert guard.current_state == "open"


def test_failures_older_than_the_window_are_forgotten(clock):
    guard = breaker(clock, window=10.0)
    for _ in range(3):
        guard.acquire().failure(OSError())
    clock.advance(11)
    for _ in range(3):
        guard.acquire().failure(OSError())
    assert guard.current_state == "closed"
    assert totals(guard) == (3, 3, 0)


def test_failures_within_the_window_add_up(clock):
    guard = breaker(clock, window=10.0)
    for _ in range(4):
        guard.acquire().failure(OSError())
        clock.advance(2)
    assert guard.current_state == "open"


def test_slow_successes_open_it_at_their_own_rate(clock):
    guard = breaker(clock, slow_call=5.0, slow_call_rate=0.75)
    guard.acquire().success(4.9)
    for _ in range(2):
        guard.acquire().success(5.0)
    assert guard.current_state == "closed"
    assert totals(guard) == (3, 0, 2)
    guard.acquire().success(60.0)
    assert (guard.current_state, guard.reason) == ("open", "slow_call_rate")


def test_without_a_slow_call_limit_no_success_is_slow(clock):
    guard = breaker(clock)
    for _ in range(20):
        guard.acquire().success(1e6)
    assert totals(guard) == (20, 0, 0)


def test_a_released_permit_is_not_counted(clock):
    guard = breaker(clock)
    for _ in range(20):
        guard.acquire().release()
    assert totals(guard) == (0, 0, 0)


def test_a_permit_counts_once(clock):
    guard = breaker(clock)
    for settle in ("failure", "failure", "success", "release"):
        permit = guard.acquire() if settle == "failure" else permit
        getattr(permit, settle)()
        permit.failure(OSError())
        permit.trip("late")
    assert totals(guard) == (2, 2, 0)
    assert guard.current_state == "closed"


def test_as_a_context_manager_a_permit_reads_the_exception(clock):
    guard = breaker(clock, minimum_calls=99)
    with guard.acquire():
        pass
    with pytest.raises(OSError), guard.acquire():
        raise OSError
    for out in (KeyboardInterrupt, GeneratorExit, SystemExit):
        with pytest.raises(out), guard.acquire():
            raise out
    assert totals(guard) == (2, 1, 0)


# Open.


def test_open_refuses_and_says_when_to_ask_again(clock):
    guard = opened(clock)
    clock.advance(5)
    with pytest.raises(CircuitOpen) as caught:
        guard.acquire()
    refused = caught.value
    assert (refused.target, refused.retry_after, refused.cause) == ("gpt", 10.0, "failure_rate")
    assert guard.retry_after == 10.0


def test_asking_for_the_wait_changes_nothing(clock):
    guard = opened(clock)
    clock.advance(15)
    assert guard.retry_after is None
    assert guard.current_state == "open"  # only a call moves it


def test_a_trip_opens_at_once_for_a_reason_and_a_time(clock):
    guard = breaker(clock)
    guard.acquire().trip("rate_limited", 42.0)
    assert (guard.current_state, guard.reason, guard.retry_after) == ("open", "rate_limited", 42.0)
    clock.advance(41.9)
    with pytest.raises(CircuitOpen):
        guard.acquire()
    clock.advance(0.1)
    assert guard.acquire().trial


def test_a_trip_from_outside_needs_no_permit(clock):
    guard = breaker(clock)
    guard.trip("health_check", 60.0)
    assert (guard.reason, guard.retry_after) == ("health_check", 60.0)
    guard.trip("health_check")
    assert guard.retry_after == 15.0


def test_a_trip_without_end_tells_callers_that_waiting_does_not_help(clock):
    guard = breaker(clock)
    guard.acquire().trip("model_retired", math.inf)
    clock.advance(1e9)
    with pytest.raises(CircuitOpen) as caught:
        guard.acquire()
    assert caught.value.retry_after is None
    assert "inf" not in str(caught.value)
    guard.close()
    guard.acquire().success()


def test_a_trip_for_no_time_at_all_asks_for_a_trial(clock):
    guard = breaker(clock)
    guard.acquire().trip("rate_limited", -3.0)
    assert guard.retry_after is None
    assert guard.acquire().trial


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


# Around it.


def test_new_numbers_hold_from_the_next_decision_on(clock):
    guard = breaker(clock)
    for _ in range(3):
        guard.acquire().failure(OSError())
    guard.configure(BreakerPolicy(failure_rate=1.0, minimum_calls=2, reset_timeout=7.0))
    guard.acquire().failure(OSError())
    assert (guard.current_state, guard.retry_after, guard.reset_timeout) == ("open", 7.0, 7.0)


def test_another_window_starts_afresh_and_the_same_numbers_do_not(clock):
    guard = breaker(clock)
    guard.acquire().failure(OSError())
    guard.configure(BreakerPolicy(**SimpleNamespace(**{
        name: getattr(guard.policy, name) for name in BreakerPolicy.__slots__
    }).__dict__))  # fmt: skip
    assert totals(guard) == (1, 1, 0)
    guard.configure(BreakerPolicy(window=5.0))
    assert totals(guard) == (0, 0, 0)


def test_strain_tells_how_near_the_trip_is(clock):
    guard = breaker(clock, minimum_calls=4, failure_rate=0.5)
    assert guard.strain == 0.0
    guard.acquire().failure(OSError())
    assert guard.strain == 0.5
    clock.advance(31)
    assert guard.strain == 0.0
    guard.trip("drill", 5.0)
    assert guard.strain == 1.0
