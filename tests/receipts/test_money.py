"""What a log cost, what failover saved of it, and what it would have cost at other prices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import Fault
from pilotlight.core.provider import Facts
from pilotlight.core.spending.price import FREE, UNKNOWN, Price
from pilotlight.records.money import Money, Tokens, by_table, in_words, reckoned
from tests.receipts.kit import call, skip, tried

NOON = 1_780_000_000.0
PRICES = {"gpt": Price(2.5, 10.0, cached_input=1.25), "claude": Price(3.0, 15.0), "local": FREE}
ROUTES = {"chat": ("gpt", "claude", "local")}
COUNTS = st.integers(0, 10**6)


def book(target: str, model: str) -> Price:
    return PRICES.get(target, UNKNOWN)


def told(prompt=1_000_000, completion=100_000, **more):
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


LOG = (
    call(NOON, tried("gpt", cost=3.5, **told())),
    call(NOON, tried("gpt", Fault.OVERLOADED, cost=0.0), tried("claude", cost=4.5, **told())),
    call(NOON, tried("gpt", Fault.OVERLOADED, cost=0.5), tried("local", cost=0.0, **told())),
    call(NOON + 86_400, tried("gpt", cost=3.5, **told())),
    call(NOON, skip("gpt"), tried("claude")),  # nobody counted its tokens
)


def test_it_is_summed_up_by_target_and_by_day():
    money = Money(book, ROUTES).add_all(LOG)
    assert (money.calls, money.unknown) == (5, 1)
    assert money.cost == pytest.approx(12.0)
    sums = {name: (each.attempts, each.cost, each.unknown) for name, each in money.targets.items()}
    assert sums == {"gpt": (4, 7.5, 0), "claude": (2, 4.5, 1), "local": (1, 0.0, 0)}
    assert [sum(costs.values()) for _, costs in sorted(money.days.items())] == [8.5, 3.5]


def test_failover_is_weighed_against_the_first_target_and_the_local_one():
    money = Money(book, ROUTES).add_all(LOG)
    assert money.routes["chat"].moved_cost == 5.0
    assert money.first_always("chat") == pytest.approx(7.0)
    assert money.local_always("chat") == 0.0
    moved, every = in_words(money)
    assert moved.endswith("2 calls for $5.00; the first target alone $7.00: failover saved $2.00")
    assert every == "chat: all its answers cost $12.00, the local model alone $0.00"


def test_without_a_configuration_the_first_target_is_who_answered_as_such():
    money = Money(book).add_all(LOG)
    assert money.first_always("chat") == pytest.approx(7.0)


def test_an_unknown_price_of_the_first_target_is_said():
    money = Money(lambda *_: UNKNOWN, ROUTES).add_all(LOG[:3])
    assert money.first_always("chat") is None
    assert "is not known" in next(in_words(money))


def test_at_other_prices_it_costs_something_else():
    dear = {**PRICES, "gpt": Price(5.0, 20.0)}
    money = Money(lambda target, _: dear[target], again=True).add_all(LOG)
    assert money.targets["gpt"].cost == pytest.approx(7.0 + 7.0 + 0.5), "a broken answer stays"
    assert money.targets["claude"].unknown == 1


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), min_size=1, max_size=9))
def test_the_sum_of_the_tokens_costs_what_the_answers_do(answers):
    """As long as each has no more special tokens than tokens, a price is linear."""
    price = Price(2.5, 10.0, 1.25, 3.0, 12.0, per_call=0.01)
    tokens, single = Tokens(), 0.0
    for cached, written, rest, thought, said in answers:
        counts = {"cached_tokens": cached, "written_tokens": written, "reasoning_tokens": thought}
        record = tried("gpt", **told(cached + written + rest, thought + said, **counts))
        tokens.add(record)
        facts = Facts(
            prompt_tokens=cached + written + rest, completion_tokens=thought + said, **counts
        )
        assert reckoned(record, price) == price.cost(facts, record.duration)
        single += price.cost(facts, record.duration)
    assert tokens.cost(price) == pytest.approx(single)


@pytest.mark.parametrize("moment", [0.0, 1e12, 1e18])
def test_a_moment_that_no_calendar_has_is_no_day(moment):
    assert Money(book).add_all([call(moment, tried("gpt", cost=1.0))]).cost == 1.0


def test_the_table_knows_models_and_home_costs_nothing():
    assert by_table("any", "openai/gpt-4o").input == 2.5
    assert by_table("any", "ollama/llama3.2") == FREE
    assert by_table("any", "openai/nobodys-own") == UNKNOWN
