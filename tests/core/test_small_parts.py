"""Window, budget and backoff: the small arithmetic that everything stands on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import in_threads

from pilotlight.core.breaker.window import SLICES, Window
from pilotlight.core.retry import policy as backoff
from pilotlight.core.retry.budget import CEILING, RetryBudget
from pilotlight.core.retry.policy import RetryPolicy

EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), min_size=1, max_size=60
)


@given(EVENTS, st.integers(0, 60))
def test_a_window_counts_what_a_naive_list_counts(events, later):
    """Exactly: whole slices are forgotten, a tenth of the window at a time."""
    window, kept, now = Window(20.0), [], 0.0
    for wait, failed, slow in events:
        now += wait / 4
        window.add(now, failed=failed, slow=slow)
        kept.append((now, failed, slow))
    now += later / 4
    window.forget(now)
    piece = 20.0 / SLICES
    alive = [one for one in kept if one[0] // piece > now // piece - SLICES]
    assert (window.calls, window.failures, window.slow) == (
        len(alive), sum(one[1] for one in alive), sum(one[2] for one in alive),
    )  # fmt: skip


@given(EVENTS, st.floats(1.0, 100.0))
def test_a_window_never_counts_older_calls_and_never_forgets_much_younger_ones(events, seconds):
    window, times, now = Window(seconds), [], 1000.0
    for wait, failed, slow in events:
        now += wait / 4
        window.add(now, failed=failed, slow=slow)
        times.append(now)
    ages = [now - at for at in times]
    slack = 1e-6 * seconds
    assert window.calls <= sum(age <= seconds + slack for age in ages)
    assert window.calls >= sum(age <= seconds * (1 - 1 / SLICES) - slack for age in ages)


def test_a_budget_has_a_few_retries_in_hand_at_the_start():
    budget = RetryBudget(ratio=0.2, start=3.0)
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


def test_a_budget_earns_one_retry_in_five_successes():
    budget = RetryBudget(ratio=0.25, start=0.0)
    for _ in range(3):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()
    assert not budget.spend()


@given(st.lists(st.booleans(), max_size=300), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_a_budget_never_pays_for_more_than_was_earned(moves, ratio):
    budget, spent = RetryBudget(ratio=ratio, start=2.0), 0
    for number, earns in enumerate(moves):
        if earns:
            budget.earn()
        else:
            spent += budget.spend()
        assert spent <= 2.0 + ratio * sum(moves[: number + 1])


def test_a_long_quiet_spell_does_not_pay_for_a_storm():
    budget = RetryBudget(ratio=1.0, start=99.0)
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(1000)) == CEILING


def test_what_is_earned_above_the_ceiling_is_lost():
    budget = RetryBudget(ratio=1.0, start=CEILING - 0.5)
    budget.earn()
    assert sum(budget.spend() for _ in range(20)) == CEILING
    budget.ratio = 0.5
    budget.earn()
    assert not budget.spend()


def test_threads_do_not_spend_the_same_token():
    budget = RetryBudget(ratio=0.0, start=10.0)
    assert sum(in_threads(32, lambda _: budget.spend())) == 10


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(0, 5000), st.floats(0, 1))
def test_a_pause_lies_between_nothing_and_its_ceiling(base, cap, number, chance):
    policy = RetryPolicy(wait_initial=base, wait_max=cap)
    pause = backoff.delay(policy, number, lambda: chance)
    assert 0 <= pause <= cap
    assert pause == pytest.approx(min(cap, base * 2 ** min(number, 32)) * chance)


def test_pauses_double_up_to_the_cap():
    policy = RetryPolicy(wait_initial=0.2, wait_max=1.0)
    assert [backoff.delay(policy, n, lambda: 1.0) for n in range(4)] == [0.2, 0.4, 0.8, 1.0]
