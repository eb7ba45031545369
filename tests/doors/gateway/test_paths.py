"""Addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.doors.gateway.access import split_key
from pilotlight.doors.gateway.paths import Nowhere, Place, place_of


@pytest.mark.parametrize(
    ("method", "path", "dialect", "does"),
    [
        ("POST", "/v1/chat/completions", "openai_chat", "answer"),
        ("POST", "/v1/responses", "openai_responses", "answer"),
        ("POST", "/v1/messages", "anthropic_messages", "answer"),
        ("POST", "/v1/messages/count_tokens", "anthropic_messages", "count"),
        ("POST", "/api/chat", "ollama", "answer"),
        ("POST", "/api/generate", "ollama", "generate"),
        ("POST", "/api/show", "ollama", "show"),
        ("GET", "/api/tags", "ollama", "models"),
        ("HEAD", "/", "ollama", "hello"),
        ("GET", "/v1/models", "openai_chat", "models"),
        ("GET", "/v1/models/pilotlight/chat", "openai_chat", "model"),
        ("GET", "/v1beta/models/pilotlight/chat", "gemini", "model"),
        ("POST", "/v1beta/models/x:countTokens", "gemini", "count"),
    ],
)
def test_what_stands_at_an_address(method, path, dialect, does):
    place = place_of(method, path)
    assert (place.dialect, place.does) == (dialect, does)


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "pilotlight/chat", "a:b"])
@pytest.mark.parametrize(
    ("verb", "stream"), [("generateContent", False), ("streamGenerateContent", True)]
)
def test_the_address_of_gemini_says_model_and_stream(version, model, verb, stream):
    place = place_of("POST", f"/{version}/models/{model}:{verb}")
    assert (place.dialect, place.does, place.model, place.stream) == (
        "gemini",
        "answer",
        model,
        stream,
    )
    assert model not in place.shown, "what a caller has put in is not logged"


def test_google_lists_models_where_openai_does():
    assert place_of("GET", "/v1/models", google=True).dialect == "gemini"
    assert place_of("GET", "/v1/models/x", google=True).dialect == "gemini"


@pytest.mark.parametrize(
    ("method", "path", "dialect", "allow"),
    [
        ("GET", "/v1/messages", "anthropic_messages", "POST"),
        ("POST", "/api/tags", "ollama", "GET"),
        ("GET", "/v1beta/models/x:generateContent", "gemini", "POST"),
        ("POST", "/v1/nothing", "openai_chat", ""),
        ("POST", "/v1beta/models/x:unknownVerb", "gemini", ""),
    ],
)
def test_nothing_stands_there(method, path, dialect, allow):
    with pytest.raises(Nowhere) as raised:
        place_of(method, path)
    assert (raised.value.dialect, raised.value.allow) == (dialect, allow)


PARTS = st.sampled_from(
    ["v1", "v1beta", "models", "chat", "api", "x:generateContent", ":", "..", ""]
)


@given(
    st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    st.lists(PARTS | st.text(max_size=5)).map("/".join),
)
def test_any_address_is_a_place_or_nowhere(method, path):
    try:
        assert isinstance(place_of(method, f"/{path}"), Place)
    except Nowhere:
        pass


@given(st.text("abc/", max_size=8))
def test_a_key_in_the_address_is_taken_off(rest):
    key, path = split_key(f"/plk_x-1/{rest}")
    assert (key, path) == ("plk_x-1", f"/{rest}")
    assert split_key(f"/{rest}") == ("", f"/{rest}")
