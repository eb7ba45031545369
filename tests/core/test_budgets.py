"""Budgets: nothing is spent twice, nothing is lost, and a calendar's days are its own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.ledger import Ledger

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC).timestamp()
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"]
).map(ZoneInfo)


def at(*date, zone=BERLIN, fold=0) -> float:
    return datetime(*date, tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("per", "moment", "hours"),
    [
        ("day", at(2026, 11, 30, 23, 59), 24),
        ("day", at(2026, 3, 29, 12), 23),  # the clocks go forward
        ("day", at(2026, 10, 25, 2, 30, fold=1), 25),  # and back: 2:30 for the second time
        ("month", at(2026, 2, 28), 28 * 24),
        ("month", at(2028, 2, 29), 29 * 24),
        ("month", at(2026, 12, 31, 23), 31 * 24),
        ("month", at(2026, 3, 1), 31 * 24 - 1),
        ("hour", at(2026, 10, 25, 2, 30, fold=1), 1),
    ],
)
def test_a_period_is_as_long_as_the_calendar_says(per, moment, hours):
    began, ends = Budget("b", 1.0, per, BERLIN).period(moment)
    assert began <= moment < ends
    assert ends - began == hours * 3600


@given(st.sampled_from(["hour", "day", "month"]), ZONES, MOMENTS)
def test_periods_follow_one_another_without_a_gap(per, zone, moment):
    budget = Budget("b", 1.0, per, zone)
    began, ends = budget.period(moment)
    assert began <= moment < ends
    assert budget.period(began) == (began, ends)
    assert budget.period(ends)[0] == ends
    assert budget.period(ends - 1) == (began, ends)


def test_what_a_call_may_cost_is_set_aside_and_what_it_did_cost_takes_its_place():
    ledger = Ledger(Budget("b", 1.0, "day"), lambda: 0.0)
    first = ledger.reserve(0.6)
    assert ledger.reserve(0.5) is None
    first.settle(0.1)
    assert (ledger.spent, ledger.reserved) == (0.1, 0.0)
    second = ledger.reserve(0.9)
    assert ledger.exhausted
    second.release()
    assert not ledger.exhausted
    second.settle(0.9)  # it has been given back already
    first.settle(0.1)
    assert ledger.spent == 0.1


def test_a_warning_is_given_once_a_period(caplog):
    now = [at(2026, 11, 30, 12, zone=UTC)]
    ledger = Ledger(Budget("team", 1.0, "day", warn_at=0.5), lambda: now[0])
    for dollars in (0.4, 0.2, 0.2):
        ledger.reserve(dollars).settle(dollars)
    assert [each.message for each in caplog.records] == [
        "budget team: $0.60 of $1.00 of this day are spent"
    ]
    now[0] += 86_400
    ledger.reserve(0.6).settle(0.6)
    assert len(caplog.records) == 2


def test_a_clock_that_is_set_back_renews_nothing():
    now = [at(2026, 11, 30, 23, zone=UTC)]
    ledger = Ledger(Budget("b", 1.0, "day"), lambda: now[0])
    ledger.reserve(1.0).settle(1.0)
    now[0] -= 3 * 86_400
    assert ledger.exhausted
    now[0] += 3 * 86_400 + 3600
    assert not ledger.exhausted


def test_threads_never_reserve_more_than_there_is():
    ledger, held = Ledger(Budget("b", 10.0, "day"), lambda: 0.0), []
    barrier = threading.Barrier(8)

    def take():
        barrier.wait()
        held.extend(filter(None, (ledger.reserve(0.1) for _ in range(50))))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 100  # though 0.1 has no exact binary form
    for each in held:
        each.settle(0.1)
    assert ledger.spent == pytest.approx(len(held) * 0.1)


class Spending(RuleBasedStateMachine):
    """Calls reserve, settle and are given up, while the clock runs and jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = at(2026, 3, 28, 22)
        self.budget = Budget("b", 100.0, "day", BERLIN)
        self.ledger = Ledger(self.budget, lambda: self.now)
        self.held = []
        self.ends = self.budget.period(self.now)[1]
        self.spent = 0.0

    def turned(self) -> None:
        if self.now >= self.ends:
            self.ends, self.spent = self.budget.period(self.now)[1], 0.0

    @rule(cents=st.integers(0, 5000))
    def reserve(self, cents):
        self.turned()
        reserved = sum(each.dollars for each in self.held)
        made = self.ledger.reserve(cents / 4)
        assert (made is None) == (self.spent + reserved + cents / 4 > 100.0)
        if made is not None:
            self.held.append(made)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), cents=st.integers(0, 5000))
    def settle(self, data, cents):
        self.turned()
        each = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        each.settle(cents / 4)
        self.spent += cents / 4
        each.settle(99.0)  # a second time counts for nothing

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_up(self, data):
        self.held.pop(data.draw(st.integers(0, len(self.held) - 1))).release()

    @rule(hours=st.floats(-30, 30))
    def jump(self, hours):
        self.now += timedelta(hours=hours).total_seconds()

    @invariant()
    def nothing_is_lost_or_counted_twice(self):
        self.turned()
        assert self.ledger.spent == self.spent
        assert self.ledger.reserved == sum(each.dollars for each in self.held)


TestSpending = Spending.TestCase
