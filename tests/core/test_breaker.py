"""The breaker by itself: when it opens, for how long, and which outcomes have a say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from kit import breaker, opened

from pilotlight.core.breaker.breaker import BreakerPolicy
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


def busy(clock, **policy):
    guard = breaker(clock, window=30.0, **policy)
    for _ in range(1000):
        guard.acquire().success()
    return guard


@pytest.mark.parametrize("minimum", [1, 5, 800])
@pytest.mark.parametrize("row", [1, 3, 5, 8])
def test_a_busy_provider_that_dies_is_left_alone_after_a_few_failures(clock, minimum, row):
    guard = busy(clock, minimum_calls=minimum, consecutive_failures=row)
    for failed in range(row):
        assert guard.current_state == "closed"
        assert guard.strain == pytest.approx(failed / row, abs=0.02)
        guard.acquire().failure(OSError())
    assert guard.current_state == "open"
    assert guard.reason == "consecutive_failures"


def test_five_in_a_row_is_the_default(clock):
    guard = busy(clock)
    for _ in range(4):
        guard.acquire().failure(OSError())
    assert guard.current_state == "closed"
    guard.acquire().failure(OSError())
    assert (guard.current_state, guard.reason) == ("open", "consecutive_failures")


def test_where_the_rate_is_reached_as_well_it_is_the_reason(clock):
    guard = breaker(clock, minimum_calls=3, consecutive_failures=3)
    for _ in range(3):
        guard.acquire().failure(OSError())
    assert (guard.current_state, guard.reason) == ("open", "failure_rate")


def test_failures_with_successes_between_them_are_judged_by_the_rate_alone(clock):
    guard = busy(clock)
    for _ in range(100):
        for _ in range(4):
            guard.acquire().failure(OSError())
        guard.acquire().success()
    assert guard.current_state == "closed"


def test_failures_in_a_row_that_the_window_has_forgotten_do_not_count(clock):
    guard = busy(clock)
    for _ in range(4):
        guard.acquire().failure(OSError())
    clock.advance(31)
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
    guard = breaker(clock, slow_call_duration=5.0, slow_call_rate=0.75)
    guard.acquire().success(4.9)
    for _ in range(2):
        guard.acquire().success(5.0)
    assert guard.current_state == "closed"
    assert totals(guard) == (3, 0, 2)
    guard.acquire().success(60.0)
    assert (guard.current_state, guard.reason) == ("open", "slow_call_rate")


def test_a_slow_trial_is_a_failed_one(clock):
    guard = breaker(clock, slow_call_duration=5.0, reset_timeout=10.0, max_reset_timeout=100.0)
    guard.open()
    clock.advance(10.0)
    guard.acquire().success(5.0)
    assert (guard.current_state, guard.reason) == ("open", "slow_call_rate")
    clock.advance(guard.retry_after)
    guard.acquire().success(4.9)
    assert guard.current_state == "closed"


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
    for settle in ("failure", "success", "release"):
        permit = guard.acquire()
        getattr(permit, settle)()
        permit.failure(OSError())
        permit.success()
        permit.trip("late")
    assert totals(guard) == (2, 1, 0)
    assert guard.current_state == "closed"


def test_as_a_context_manager_a_permit_reads_the_exception(clock):
    guard = breaker(clock, minimum_calls=99, consecutive_failures=99)
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
    guard.configure(replace(guard.policy))
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
