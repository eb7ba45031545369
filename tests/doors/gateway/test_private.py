"""A private key's request never leaves, whatever address and model it names."""

from __future__ import annotations

from itertools import product

import pytest
from kit_gateway import ASK, bearer, config, ring, serving

from pilotlight.doors.gateway.access import Access
from pilotlight.doors.gateway.keys import Key

PARTS = [{"parts": [{"text": "hi"}]}]
BODIES = {
    "/v1/chat/completions": lambda m, s: {"model": m, "messages": ASK, "stream": s},
    "/v1/responses": lambda m, s: {"model": m, "input": "hi", "stream": s},
    "/v1/messages": lambda m, s: {"model": m, "max_tokens": 9, "messages": ASK, "stream": s},
    "/api/chat": lambda m, s: {"model": m, "messages": ASK, "stream": s},
    "/api/generate": lambda m, s: {"model": m, "prompt": "hi", "stream": s},
    "/v1/embeddings": lambda m, s: {"model": m, "input": "hi"},
}
NAMES = [
    "chat", "pilotlight/chat", "claude", "cloud", "gpt-4o", "openai/gpt-4o", "gpt",
    "https://api.openai.com/v1", "vectors", "../cloud",
]  # fmt: skip
# What would lead a call away, were it believed.
AWAY = {
    "api_base": "http://cloud.example/v1", "base_url": "http://cloud.example/v1",
    "private": False, "extra_body": {"private": False}, "fallbacks": ["openai/gpt-4o"],
    "extra_headers": {"x-pilotlight-private": "false"}, "custom_llm_provider": "openai",
}  # fmt: skip


@pytest.fixture
def private_site(chaos):
    settings = config(chaos, models={"gpt-*": "chat", "*": "cloud"})
    with serving(settings, Access(ring(ci=Key(private=True)))) as site:
        yield site


def left(chaos) -> list[str]:
    """Whom a prompt has reached that is not at home; looking at `house` sends none."""
    return [each.name for each in chaos.requests() if each.name != "house"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("stream", [False, True])
def test_nothing_leaves(path, stream, private_site, chaos):
    for name, more in product(NAMES, ({}, AWAY)):
        body = BODIES[path](name, stream) | more
        headers = {**bearer("ci"), "x-pilotlight-private": "false"}
        private_site.post(path, body, headers=headers)
        assert left(chaos) == [], (name, more)


@pytest.mark.parametrize(
    "verb", ["generateContent", "streamGenerateContent", "embedContent", "countTokens"]
)
def test_nothing_leaves_by_an_address_that_names_the_model(verb, private_site, chaos):
    for name in NAMES:
        private_site.post(
            f"/v1beta/models/{name}:{verb}", {"contents": PARTS}, headers=bearer("ci")
        )
    assert left(chaos) == []


def test_what_is_local_answers(private_site, chaos):
    answer = private_site.chat("chat", headers=bearer("ci"))
    assert answer.headers["x-pilotlight-served-by"] == "local"
    refused = private_site.chat("cloud", headers=bearer("ci"))
    assert refused.status_code == 403
    assert "no local target" in refused.json()["error"]["message"]


@pytest.mark.parametrize("word", ["true", "1", "yes", "TRUE", "", "perhaps"])
def test_a_caller_can_make_its_own_call_private(word, site, chaos):
    answer = site.chat("chat", headers={"x-pilotlight-private": word})
    assert answer.headers["x-pilotlight-served-by"] == "local"
    assert left(chaos) == []


def test_the_models_are_told_without_asking_anybody(private_site, chaos):
    private_site.get("/v1/models", headers=bearer("ci"))
    private_site.post(
        "/v1/messages/count_tokens", {"model": "x", "messages": ASK}, headers=bearer("ci")
    )
    assert left(chaos) == []
