"""Model names and routes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.doors.gateway.names import Names

ROUTES = ("chat", "embed", "gpt-4o")
TABLE = {"gpt-*": "chat", "gpt-4o*": "embed", "claude": "embed"}


@pytest.mark.parametrize(
    ("model", "route"),
    [
        ("pilotlight/chat", "chat"),
        ("chat", "chat"),
        ("chat:latest", "chat"),
        ("claude", "embed"),
        ("claude-3", None),
        ("gpt-3.5", "chat"),
        ("gpt-4o-mini", "embed"),
        ("gpt-4o", "gpt-4o"),
        ("pilotlight/nope", None),
        ("", None),
    ],
)
def test_a_name_leads_to_its_route(model, route):
    assert Names(ROUTES, TABLE).route_of(model) == route


def test_a_star_alone_takes_what_nothing_else_takes():
    names = Names(ROUTES, {"*": "chat"})
    assert names.route_of("anything at all") == "chat"
    assert names.route_of("pilotlight/embed") == "embed"


NAMES = st.text("abc*", max_size=4)


@given(NAMES, st.dictionaries(NAMES, st.sampled_from(ROUTES), max_size=4))
def test_every_name_leads_to_a_route_that_there_is_or_nowhere(model, table):
    assert Names(ROUTES, table).route_of(model) in (None, *ROUTES)


@given(st.sets(st.sampled_from(ROUTES)))
def test_only_names_of_allowed_routes_are_told(allowed):
    names = Names(ROUTES, TABLE)
    for told in names.told(allowed):
        assert not allowed or names.route_of(told) in allowed
