"""A call on its way through budgets: who is skipped, what is set aside, what is counted."""

from __future__ import annotations

import pytest
from kit import fails, flow, in_threads, returned, target

from pilotlight import Route
from pilotlight.core.flow.steps import Relay
from pilotlight.core.provider import Answered, Ended, Facts, Opened
from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.spending.price import FREE, Price
from pilotlight.errors import AllTargetsFailed, BudgetSpent, StreamInterrupted
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault

PRICE = Price(input=1000.0, output=1000.0)  # a tenth of a cent a token
ASK = [{"role": "user", "content": "hi"}]
USED = Facts(prompt_tokens=10, completion_tokens=20)


def ledger(usd: float = 10.0, **more) -> Ledger:
    return Ledger(Budget("team", usd, "day", **{"unknown": "refuse", **more}), lambda: 43_200.0)


def priced(name, clock, price=PRICE, **more):
    return target(name, clock, price=lambda: price, **more)


def started(targets, clock, *ledgers, **more):
    call = {"messages": ASK, "options": {"max_tokens": 100}, **more}
    return flow(targets, clock, budgets=ledgers, **call)


def test_what_is_set_aside_gives_way_to_what_was_spent(clock):
    book = ledger()
    talk, recorder = started([priced("gpt", clock)], clock, book)
    assert next(talk).target.name == "gpt"
    assert book.reserved == pytest.approx(0.110)  # ten tokens by a high guess, and max_tokens
    returned(talk, Answered("hi", USED))
    assert (book.spent, book.reserved) == (pytest.approx(0.03), 0.0)
    assert recorder.receipt().cost == pytest.approx(0.03)


def test_a_spent_budget_leads_to_the_next_target_that_is_free(clock):
    book = ledger(0.1)
    targets = [priced("gpt", clock), priced("claude", clock), priced("local", clock, FREE)]
    talk, recorder = started(targets, clock, book)
    assert next(talk).target.name == "local"
    returned(talk, Answered("hi", USED))
    receipt = recorder.receipt()
    told = [(each.target, each.reason, each.detail) for each in receipt.skipped]
    assert told == [("gpt", "budget", "team"), ("claude", "budget", "team")]
    assert receipt.skipped[0].retry_after == 43_200
    assert (receipt.cost, book.spent, book.reserved) == (0.0, 0.0, 0.0)


def test_an_exhausted_budget_is_seen_before_anything_is_admitted(clock):
    book = ledger(0.1)
    book.reserve(0.1).settle(0.1)
    talk, _ = started([priced("gpt", clock), priced("local", clock, FREE)], clock, book)
    assert next(talk).target.name == "local"
    talk.close()


def test_where_all_cost_the_call_fails_and_says_what_would_mend_it(clock):
    talk, _ = started([priced("gpt", clock)], clock, ledger(0.1))
    with pytest.raises(
        AllTargetsFailed, match=r"gpt budget \(team\); raise the `usd` of the budget"
    ) as failed:
        next(talk)
    assert failed.value.retry_after == 43_200


def test_a_budget_may_refuse_the_whole_call(clock):
    book, other = ledger(0.1, then="refuse"), ledger()
    one = priced("gpt", clock)
    talk, recorder = started([one, priced("local", clock, FREE)], clock, other, book)
    with pytest.raises(BudgetSpent) as spent:
        next(talk)
    assert (spent.value.budget, spent.value.retry_after) == ("team", 43_200)
    assert recorder.outcome == "raised"
    assert (other.reserved, book.reserved) == (0.0, 0.0), "no other budget holds anything"
    assert one.health.breaker.state.name == "closed"


@pytest.mark.parametrize(
    ("unknown", "asked", "spent"),
    [("refuse", "local", 0.0), ("ignore", "odd", 0.0), (0.5, "odd", 0.5)],
)
def test_a_price_that_nobody_knows_is_treated_as_the_user_says(clock, unknown, asked, spent):
    book = ledger(unknown=unknown)
    odd = target("odd", clock)
    talk, recorder = started([odd, priced("local", clock, FREE)], clock, book)
    assert next(talk).target.name == asked
    returned(talk, Answered("hi", USED))
    assert book.spent == spent
    assert recorder.receipt().cost is (None if asked == "odd" else 0.0) or asked == "local"


def test_a_failure_costs_nothing_and_gives_everything_back(clock):
    book = ledger()
    talk, recorder = started([priced("gpt", clock), priced("local", clock, FREE)], clock, book)
    next(talk)
    assert talk.send(fails(Fault.SERVER_ERROR)).target.name == "local"
    assert (book.spent, book.reserved) == (0.0, 0.0)
    returned(talk, Answered("hi", USED))
    assert [each.cost for each in recorder.receipt().attempts] == [0.0, 0.0]


def test_a_stream_that_broke_off_costs_what_was_received(clock):
    book = ledger()
    talk, recorder = started([priced("gpt", clock)], clock, book, stream=True)
    next(talk)
    assert isinstance(talk.send(Opened()), Relay)
    with pytest.raises(StreamInterrupted):
        talk.send(fails(Fault.STREAM_TRUNCATED, partial="x" * 40))
    attempt = recorder.receipt().attempts[0]
    assert attempt.cost == pytest.approx(0.020)
    assert attempt.flags == ("cost_estimated",)
    assert (book.spent, book.reserved) == (attempt.cost, 0.0)


def test_a_stream_that_is_left_counts_as_what_was_set_aside(clock):
    book = ledger()
    talk, _ = started([priced("gpt", clock)], clock, book, stream=True)
    next(talk)
    talk.send(Opened())
    talk.close()
    assert (book.spent, book.reserved) == (pytest.approx(0.110), 0.0)


def test_a_whole_stream_costs_its_tokens(clock):
    book = ledger()
    talk, _ = started([priced("gpt", clock)], clock, book, stream=True)
    next(talk)
    talk.send(Opened())
    returned(talk, Ended(USED))
    assert book.spent == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("about", "held"),
    [
        ({}, True),
        ({"routes": frozenset({"chat"})}, True),
        ({"routes": frozenset({"other"})}, False),
        ({"tags": {"team": "a"}}, True),
        ({"tags": {"team": "b"}}, False),
        ({"tags": {"team": "a", "user": "ann"}}, False),
    ],
)
def test_a_budget_is_about_some_calls(about, held):
    assert Budget("b", 1.0, "day", **about).is_about("chat", {"team": "a"}) is held


def test_a_budget_of_other_targets_holds_nothing_back(clock):
    book = ledger(0.0001, targets=frozenset({"claude"}))
    talk, _ = started([priced("gpt", clock)], clock, book)
    assert next(talk).target.name == "gpt"
    talk.close()


def test_two_hundred_at_once_spend_no_more_than_there_is(clock):
    """A hundred calls' worth of money: the others are answered at home."""
    gpt = ScriptedTarget("gpt", "hi", clock=clock)
    gpt.price = lambda: PRICE
    local = ScriptedTarget("local", "hi", local=True, clock=clock)
    local.price = lambda: FREE
    book = ledger(100 * 0.110 + 0.001)
    route = Route("chat", (gpt, local), clock=clock, budgets=(book,))
    served = in_threads(200, lambda _: route.complete(ASK, max_tokens=100).served_by)
    assert (served.count("gpt"), served.count("local")) == (100, 100)
    assert book.spent <= book.budget.usd  # no tokens were told: what was set aside counts
    assert book.reserved == pytest.approx(0.0, abs=1e-9)
