"""The status page: whatever a name, a model or a reason holds, it is shown as text."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pilotlight
from pilotlight.state.facts import FleetFacts, FleetNotice
from pilotlight.status import page, snapshot
from pilotlight.status.snapshot import BudgetState, RouteState, Snapshot, TargetState

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40) | st.sampled_from(
    ['"><script>alert(1)</script>', "<img src=x onerror=y>", "&lt;b&gt;", "' onload='x"]
)
BREAKERS = st.sampled_from(["closed", "open", "half-open"])
TARGETS = st.builds(
    TargetState,
    name=WORDS,
    model=WORDS,
    local=st.booleans(),
    breaker=BREAKERS,
    reason=WORDS,
    retry_after=st.none() | st.floats(0, 1000),
    in_flight=st.integers(0, 9),
    limit=st.none() | st.integers(1, 9),
    waiting=st.integers(0, 9),
    queue=st.none() | st.integers(0, 9),
    check=WORDS,
    problem=WORDS,
)
STANDINGS = st.sampled_from(["ok", "degraded", "down"])
ROUTES = st.builds(
    RouteState,
    name=WORDS,
    targets=st.lists(WORDS, max_size=3).map(tuple),
    private=st.booleans(),
    total_timeout=st.none() | st.floats(0.1, 1000),
    standing=STANDINGS,
    serving=st.none() | WORDS,
)
BUDGETS = st.builds(
    BudgetState,
    name=WORDS,
    usd=st.floats(0.01, 1e6),
    per=st.sampled_from(["hour", "day", "month"]),
    spent=st.floats(0, 1e7),
    reserved=st.floats(0, 1e3),
    renews_at=st.floats(0, 4e9),
    then=st.sampled_from(["skip", "refuse"]),
    shared=st.booleans(),
)
SNAPSHOTS = st.builds(
    Snapshot,
    worker=st.just(7),
    standing=STANDINGS,
    routes=st.lists(ROUTES, max_size=2).map(tuple),
    targets=st.lists(TARGETS, max_size=2).map(tuple),
    budgets=st.lists(BUDGETS, max_size=2).map(tuple),
)
NOTICES = st.builds(
    FleetNotice, st.none() | WORDS, BREAKERS, WORDS, st.floats(0, 9), st.floats(0, 9), WORDS,
    st.none() | WORDS,
)  # fmt: skip
FLEETS = st.none() | st.builds(
    FleetFacts, WORDS, st.none() | WORDS, st.lists(NOTICES, max_size=2).map(tuple)
)
HAPPENED = st.lists(
    st.builds(
        page.Happening, st.just(datetime(2026, 1, 2, tzinfo=UTC)), WORDS, WORDS, WORDS, WORDS, WORDS,
        WORDS,
    ),
    max_size=2,
)  # fmt: skip
ALLOWED = {
    *("p", "span", "code", "section", "h2", "div", "table", "thead", "tbody", "tr", "th", "td"),
    *("small", "meter", "time"),
}
ATTRIBUTES = {
    *("class", "aria-hidden", "aria-labelledby", "id", "tabindex", "role", "scope", "colspan"),
    *("min", "max", "value", "datetime", "data-head"),
}


class Seen(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@given(SNAPSHOTS, FLEETS, HAPPENED, st.lists(WORDS, max_size=2))
def test_whatever_is_said_is_shown_as_text(now, fleet, happened, notes):
    seen = Seen()
    seen.feed(page.live(now, fleet, happened, notes))
    seen.close()
    assert seen.open == []
    for route in now.routes:
        assert route.name in seen.text
    for note in notes:
        assert note in seen.text


def test_a_budget_is_shown_with_what_is_left_of_it():
    config = {
        "targets": {"local": {"model": "ollama/llama3.2"}},
        "routes": {"chat": {"targets": ["local"]}},
        "budgets": {"team": {"usd": 2, "per": "day", "unknown": "refuse", "then": "refuse"}},
    }
    with pilotlight.load(config) as app:
        app.ledgers["team"].reserve(0.5).settle(0.25)
        shown = page.live(snapshot.take(app), None, [])
        assert "$0.25 of $2.00 today" in shown
        assert "spent: calls are refused" not in shown
        app.ledgers["team"].reserve(1.75)
        assert "spent: calls are refused" in page.live(snapshot.take(app), None, [])


def test_the_time_limit_of_a_route_is_shown():
    route = RouteState("chat", ("gpt",), False, 12.5, "ok", "gpt")
    assert 'data-head="Time limit">12.5 s</td>' in page.live(
        Snapshot(1, "ok", (route,), ()), None, []
    )


@pytest.mark.parametrize("name", page.FILES)
def test_its_files_are_there(name):
    assert page.file(name)
    with pytest.raises(KeyError):
        page.file(f"../{name}")
