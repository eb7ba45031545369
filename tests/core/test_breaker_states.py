"""The states of a breaker as values: what each says to a moment, a success, a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.core.breaker.policy import CALLS_FAILED, BreakerPolicy
from pilotlight.core.breaker.states import Closed, HalfOpen, Open, Transition

POLICY = BreakerPolicy(
    minimum_calls=4, consecutive_failures=3, slow_call_duration=2.0, trial_calls=2
)


class Gate:
    """Other processes that want a trial to wait so long, None: not at all."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds

    def wait(self, now, until):
        return self.seconds

    def asked(self, now, until):
        pass

    def turn(self, now, until):
        return None


def fail(state: Closed, times: int) -> list[Transition | None]:
    return [state.failed(float(i), POLICY, 0.5) for i in range(times)]


def test_closed_opens_with_the_failures_in_a_row():
    assert fail(Closed(0.0, 30.0), 3) == [
        None,
        None,
        Transition("open", "consecutive_failures", cost=0.5),
    ]


def test_closed_opens_at_the_failure_rate_once_enough_calls_have_ended():
    state = Closed(0.0, 30.0)
    for _ in range(2):
        state.succeeded(0.0, POLICY, 0.1)
    assert fail(state, 2) == [None, Transition("open", "failure_rate", cost=0.5)]


def test_closed_opens_at_the_rate_of_slow_calls():
    state = Closed(0.0, 30.0)
    moves = [state.succeeded(0.0, POLICY, 2.0) for _ in range(4)]
    assert moves == [None, None, None, Transition("open", "slow_call_rate", cost=2.0)]


def test_a_slow_call_counts_from_its_duration_on():
    state = Closed(0.0, 30.0)
    assert [state.succeeded(0.0, POLICY, 1.99) for _ in range(8)] == [None] * 8


@pytest.mark.parametrize(
    ("now", "gate", "move"),
    [
        (9.9, None, None),
        (10.0, None, Transition("half-open")),
        (10.0, Gate(1.0), None),  # another process is trying
        (10.0, Gate(None), Transition("half-open")),
    ],
)
def test_open_is_over_when_its_time_and_the_gate_say_so(now, gate, move):
    assert Open(0.0, 10.0, "failure_rate").due(now, gate) == move


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 1e6))
def test_open_is_due_exactly_when_it_refuses_no_more(began, seconds, later):
    state, now = Open(began, seconds, "failure_rate"), began + later
    refusal = state.refusal(now, POLICY, None)
    assert (refusal is None) is (state.due(now, None) is not None)
    assert refusal is None or refusal > 0


@pytest.mark.parametrize(
    "reason", [*sorted(CALLS_FAILED), "health_check", "quota_exhausted", "forced"]
)
def test_a_last_resort_is_tried_only_where_calls_have_opened_it(reason):
    assert Open(0.0, 10.0, reason).admits_last_resort(1.0) is (
        reason in CALLS_FAILED or reason == "health_check"
    )


def test_a_last_resort_that_went_well_is_the_first_trial():
    assert Open(0.0, 9.0, "failure_rate").succeeded(1.0, POLICY, 0.1) == Transition(
        "half-open", repeat=True
    )


def test_a_slow_last_resort_changes_nothing():
    assert Open(0.0, 9.0, "failure_rate").succeeded(1.0, POLICY, 2.0) is None


def test_half_open_closes_after_its_trials():
    state = HalfOpen("failure_rate")
    moves = [state.succeeded(0.0, POLICY, 0.1) for _ in range(2)]
    assert moves == [None, Transition("closed", "trial_succeeded")]


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (lambda s: s.failed(0.0, POLICY, 3.0), Transition("open", "trial_failed", cost=3.0)),
        (
            lambda s: s.succeeded(0.0, POLICY, 2.0),
            Transition("open", "slow_call_rate", cost=2.0),
        ),
    ],
)
def test_one_bad_trial_opens_it_again(move, expected):
    assert move(HalfOpen("failure_rate")) == expected
