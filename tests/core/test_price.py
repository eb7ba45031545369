"""What tokens cost, in cents that were reckoned by hand, and what nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.core.provider import Facts
from pilotlight.core.spending.price import FREE, UNKNOWN, Price, guessed

GPT = Price(input=2.5, output=10.0, cached_input=1.25)
CLAUDE = Price(input=3.0, output=15.0, cached_input=0.3, cache_write=3.75)
O3 = Price(input=2.0, output=8.0, reasoning=60.0)
tokens = st.integers(0, 10**7)


def facts(prompt=None, answer=None, cached=None, written=None, thought=None) -> Facts:
    return Facts(
        prompt_tokens=prompt,
        completion_tokens=answer,
        cached_tokens=cached,
        written_tokens=written,
        reasoning_tokens=thought,
    )


@pytest.mark.parametrize(
    ("price", "used", "dollars"),
    [
        (GPT, facts(1000, 500), 0.0025 + 0.005),
        (GPT, facts(1000, 500, cached=400), 0.0015 + 0.0005 + 0.005),
        (CLAUDE, facts(12_000, 100, cached=9000, written=2000), 0.003 + 0.0027 + 0.0075 + 0.0015),
        (O3, facts(100, 1000, thought=900), 0.0002 + 0.0008 + 0.054),
        (GPT, facts(1000), 0.0025),  # an embedding has no tokens of an answer
        (Price(per_call=0.01), facts(), 0.01),
        (Price(input=1.0, output=1.0, per_call=0.01), facts(10, 10), 0.01 + 0.00002),
        (FREE, facts(), 0.0),
        (FREE, facts(10**6, 10**6), 0.0),
    ],
)
def test_tokens_cost_what_a_person_would_reckon(price, used, dollars):
    assert price.cost(used) == pytest.approx(dollars, abs=1e-12)


@pytest.mark.parametrize(
    ("price", "used"),
    [
        (UNKNOWN, facts(10, 10)),
        (GPT, facts()),
        (GPT, facts(None, 10)),
        (Price(input=1.0), facts(10, 10)),
        (Price(input=1.0, output=1.0, per_call=0.01), facts()),
    ],
)
def test_what_is_not_known_is_not_told_as_nothing(price, used):
    assert price.cost(used) is None


def test_a_rented_gpu_costs_by_the_time_in_which_it_answers():
    rented = Price(input=0.0, output=0.0, per_hour=0.40)
    assert rented.cost(facts(), 90.0) == pytest.approx(0.01)


def test_images_cost_by_the_piece():
    assert Price(image=0.04).cost(facts(), images=3) == pytest.approx(0.12)
    assert Price(image=0.04, input=5.0, output=0.0).cost(facts(100), images=1) == pytest.approx(
        0.0405
    )


@given(tokens, tokens, tokens, tokens, tokens)
def test_a_cost_is_never_negative_and_a_cache_never_dearer_than_none(
    prompt, answer, cached, written, thought
):
    used = facts(prompt, answer, cached, written, thought)
    cost = GPT.cost(used)
    assert cost is not None and cost >= 0
    assert O3.cost(used) >= 0
    if cached + written <= prompt:
        assert cost <= GPT.cost(facts(prompt, answer)) + 1e-9


def test_an_answer_that_broke_off_is_guessed_by_what_came():
    assert guessed(120, "x" * 41) == facts(120, 11)
