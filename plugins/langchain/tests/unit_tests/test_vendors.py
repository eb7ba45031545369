"""Whom a LangChain object asks: the circuit breaker must be the one that the core has."""

from __future__ import annotations

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import FakeListChatModel
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

import pilotlight
from langchain_pilotlight import guard
from langchain_pilotlight._vendors import identity, wired
from pilotlight.extension import Endpoint

MODELS = [
    (lambda: ChatOpenAI(model="gpt-4o", api_key="k"), "openai/gpt-4o", {"api_key": "k"}),
    (
        lambda: ChatOpenAI(model="qwen", api_key="k", base_url="http://127.0.0.1:8000/v1/"),
        "openai/qwen",
        {"api_key": "k", "api_base": "http://127.0.0.1:8000/v1"},
    ),
    (
        lambda: ChatAnthropic(model="claude-sonnet-4-5", api_key="k"),
        "anthropic/claude-sonnet-4-5",
        {"api_key": "k"},
    ),
    (lambda: ChatOllama(model="llama3.2"), "ollama/llama3.2", {}),
    (lambda: ChatOllama(model="ollama/mine"), "ollama/ollama/mine", {}),  # a name, not a prefix
]


@pytest.mark.parametrize(("make", "model", "settings"), MODELS, ids=[each[1] for each in MODELS])
def test_the_breaker_is_the_one_of_the_configuration(make, model, settings):
    configured = pilotlight.load({"targets": {"one": {"model": model, **settings}}}).target("one")
    guarded = guard(make())._way().route.targets[0]
    assert guarded.health is configured.health


def test_what_is_in_no_table_is_told_by_class_and_model():
    assert (
        identity(FakeListChatModel(responses=["hi"])).model == "fakelistchatmodel/FakeListChatModel"
    )
    answer = guard(FakeListChatModel(responses=["hi"])).invoke("?")
    assert answer.text == "hi"


def test_the_user_s_own_client_is_left_in_place():
    import httpx

    with httpx.Client() as mine:
        model = ChatOpenAI(model="gpt-4o", api_key="k", http_client=mine)
        twin = wired(model, Endpoint("gpt", "openai/gpt-4o"))
        assert twin.root_client._client is mine
        assert twin.root_client.max_retries == 0


def test_anthropic_s_own_retries_are_off():
    model = ChatAnthropic(model="claude-sonnet-4-5", api_key="k")
    assert model._client.max_retries == 2
    twin = wired(model, Endpoint("claude", "anthropic/claude-sonnet-4-5"))
    assert twin._client.max_retries == 0
