"""What a log tells of a route, reckoned by hand."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import Fault
from pilotlight.records.money import Money, by_table
from pilotlight.records.page import page
from pilotlight.records.prices import PriceMap
from pilotlight.records.summary import SLICES, Spread, Summary, Timeline, time_lost
from pilotlight.records.words import lines, money, seconds, share
from tests.receipts.kit import call, skip, tried

PRICES = PriceMap(
    {
        "gpt-4o": {"input_cost_per_token": 0.002, "output_cost_per_token": 0.01},
        "anthropic/claude-sonnet-4-5": {
            "input_cost_per_token": 0.003,
            "output_cost_per_token": 0.02,
        },
        "openai/embedder": {"input_cost_per_token": 0.001},
    }
)
TOKENS = {"prompt_tokens": 100, "completion_tokens": 10}
LOG = (
    call(10.0, tried("gpt", **TOKENS)),
    call(20.0, tried("gpt", **TOKENS)),
    call(30.0, tried("gpt", Fault.TIMEOUT, 8.0), tried("claude", takes=2.0, **TOKENS)),
    call(40.0, skip("gpt"), tried("claude", Fault.OVERLOADED, 0.5), tried("local", **TOKENS)),
    call(50.0, skip("gpt"), tried("claude", Fault.OVERLOADED, 0.5), duration=0.75),
    call(60.0, tried("gpt", Fault.INVALID_REQUEST, 0.25), outcome="raised"),
)


def summed(*receipts) -> Summary:
    return Summary(PRICES).add_all(receipts)


@pytest.mark.parametrize(("number", "lost"), list(enumerate([0.0, 0.0, 8.0, 0.5, 0.75, 0.25])))
def test_time_lost_is_what_was_not_spent_on_the_answer(number, lost):
    assert time_lost(LOG[number]) == lost


def test_a_wait_is_time_lost():
    assert time_lost(call(1.0, tried("gpt", takes=2.0), duration=5.0)) == 3.0


def test_a_route():
    route = summed(*LOG).to_dict()["routes"]["chat"]
    assert route["calls"] == 6
    assert route["answered"] == 4
    assert route["availability"] == 4 / 5  # the caller's own mistake is nobody's outage
    assert route["served_by"] == {"gpt": 2, "claude": 1, "local": 1}
    assert route["why"] == {"breaker_open": 2, "overloaded": 2, "timeout": 1, "invalid_request": 1}
    assert route["time_lost"] == 9.5
    assert route["cost"] == pytest.approx(0.3 + 0.3 + 0.5 + 0)
    assert route["saved"] == pytest.approx((0.3 - 0.5) + (0.3 - 0))
    assert route["unpriced"] == 0
    json.dumps(route)


def test_targets():
    targets = summed(*LOG).to_dict()["targets"]
    assert {name: (each["served"], each["failed"]) for name, each in targets.items()} == {
        "gpt": (2, 2),
        "claude": (1, 2),
        "local": (1, 0),
    }
    assert targets["local"]["cost"] == 0


def test_what_is_not_known_is_not_nothing():
    total = summed(
        call(1.0, tried("gpt")),  # no token counts
        call(2.0, skip("gpt"), tried("local", **TOKENS)),
        call(3.0, tried("gpt", **TOKENS)),
    )
    text = "\n".join(map(str, lines(total)))
    assert "$0.30; unknown for 1 of 3 answers" in text
    nobody_first = summed(call(1.0, skip("gpt"), tried("local", **TOKENS)))
    assert nobody_first.saved("chat") is None
    assert "unknown: no price of the first target" in "\n".join(map(str, lines(nobody_first)))


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("openai/gpt-4o", 0.3),
        ("anthropic/claude-sonnet-4-5", 0.5),
        ("ollama/llama3.2", 0.0),
        ("ollama_chat/llama3.2", 0.0),
        ("ollama/gpt-oss:120b-cloud", None),
        ("openai/embedder", None),
        ("openai/never-heard-of", None),
    ],
)
def test_a_price(model, cost):
    assert PRICES(model, 100, 10) == (None if cost is None else pytest.approx(cost))


def test_the_prices_are_litellms():
    assert PriceMap()("openai/gpt-4o", 1000, 1000) > 0


@given(st.lists(st.floats(0.001, 1000), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_right_within_five_percent(values, rank):
    spread = Spread()
    for each in values:
        spread.add(each)
    exact = next(v for n, v in enumerate(sorted(values), 1) if n >= rank * len(values))
    assert spread.quantile(rank) == pytest.approx(exact, rel=0.0501)


@given(st.lists(st.floats(0, 1e8), min_size=1, max_size=60))
def test_a_timeline_is_bounded_and_loses_nobody(moments):
    line = Timeline()
    for at in moments:
        line.add(at, "gpt", 0.5)
    assert max(line.served) - min(line.served) < SLICES
    assert sum(each.total() for each in line.served.values()) == len(moments)
    assert sum(line.lost.values()) == pytest.approx(len(moments) / 2)
    assert {int(at // line.width) for at in moments} == set(line.served)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("100%", share(1.0)),
        ("99.99%", share(0.99999)),
        ("29%", share(0.29)),
        ("none", share(None)),
        ("$12.50", money(12.5)),
        ("> -$0.01", money(-0.0012)),
        ("< $0.01", money(0.0012)),
        ("$0.00", money(0)),
        ("250 ms", seconds(0.25)),
        ("2.5 min", seconds(150)),
        ("3 h", seconds(10800)),
    ],
)
def test_numbers_as_people_write_them(said, value):
    assert value == said


# The page.

NOON = 1_780_000_000.0


def drawn(*receipts) -> str:
    return page(summed(*receipts), Money(by_table).add_all(receipts))


class Checker(HTMLParser):
    """Every element is closed, in its order."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("receipts", [LOG, LOG[:1], LOG[4:5], LOG[5:], ()], ids=len)
def test_the_page_is_whole_and_needs_nothing_but_itself(receipts):
    text = drawn(*receipts)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert not {"script", "link", "img", "iframe"} & set(checker.seen)
    assert not re.search(r"https?:|url\(|@import|NaN|inf[^o]", text)


def test_the_page_shows_each_plot():
    text = drawn(*LOG)
    assert (text.count("<svg"), text.count('<ul class="bars"')) == (2, 2)
    assert "4 of 5 calls answered" in text
    for rectangle in ("t0", "t1", "t2", "lost", "time"):
        assert f'<rect class="{rectangle}"' in text


def test_the_page_shows_what_each_day_cost():
    known = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5}
    days = [call(NOON + day * 86_400, tried("gpt", **known)) for day in (0, 1, 3)]
    text = drawn(*days)
    assert "What it cost, day by day" in text
    assert text.count("<svg") == 3
    assert "What it cost, day by day" not in drawn(days[0])


def test_names_are_escaped():
    text = drawn(call(1.0, tried("gpt"), route="<script>alert(1)</script>"))
    assert "<script>" not in text
