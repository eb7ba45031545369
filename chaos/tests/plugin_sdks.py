"""Each SDK as an application has it: told by variables alone.  `test_plugin.py` runs these."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import pytest

MESSAGES = [{"role": "user", "content": "hi"}]


def openai_sdk():
    import openai

    client = openai.OpenAI(max_retries=0)
    reply = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    return reply.choices[0].message.content


def anthropic_sdk():
    import anthropic

    client = anthropic.Anthropic(max_retries=0)
    reply = client.messages.create(model="claude-x", messages=MESSAGES, max_tokens=50)
    return reply.content[0].text


def ollama_sdk():
    import ollama

    return ollama.Client().chat("llama3.2:3b", MESSAGES).message.content


def gemini_sdk():
    from google import genai

    client = genai.Client()
    return client.models.generate_content(model="gemini-2.5-flash", contents="hi").text


def by_litellm(model: str) -> Callable[[], str]:
    def call():
        import litellm

        reply = litellm.completion(model, MESSAGES, num_retries=0, max_retries=0)
        return reply.choices[0].message.content

    return call


def by_langchain(module: str, name: str, model: str, **options: object) -> Callable[[], str]:
    def call():
        chat = getattr(importlib.import_module(module), name)(model=model, **options)
        return chat.invoke("hi").text

    return call


WAYS = [
    ("openai", openai_sdk),
    ("anthropic", anthropic_sdk),
    ("ollama", ollama_sdk),
    ("gemini", gemini_sdk),
    ("openai", by_litellm("openai/gpt-4o")),
    ("anthropic", by_litellm("anthropic/claude-x")),
    ("gemini", by_litellm("gemini/gemini-2.5-flash")),
    ("ollama", by_litellm("ollama_chat/llama3.2:3b")),
    ("ollama", by_litellm("ollama/llama3.2:3b")),
    ("openai", by_langchain("langchain_openai", "ChatOpenAI", "gpt-4o", max_retries=0)),
    ("anthropic", by_langchain("langchain_anthropic", "ChatAnthropic", "claude-x", max_retries=0)),
    ("ollama", by_langchain("langchain_ollama", "ChatOllama", "llama3.2:3b")),
]


@pytest.mark.parametrize("again", [False, True])  # no address is kept from one test to the next
@pytest.mark.parametrize(("provider", "call"), WAYS)
def test_a_client_finds_its_provider(llm_chaos, provider, call, again):
    llm_chaos.assert_survived(call())
    assert llm_chaos.hits(provider) == 1
    llm_chaos.outage(provider, "auth")
    with pytest.raises(Exception, match=r"(?i)api key|auth"):
        call()
    llm_chaos.assert_primary_hits(2)


@pytest.mark.llm_outage("openai", "quota")
@pytest.mark.parametrize("again", [False, True])
def test_breakers_are_forgotten_between_tests(llm_chaos, again):
    import pilotlight

    target = {"model": "openai/gpt-4o"}
    route = pilotlight.load({"targets": {"gpt": target}, "routes": {"chat": {"targets": ["gpt"]}}})
    with pytest.raises(pilotlight.AllTargetsFailed):
        route.route("chat").complete(MESSAGES)
    assert llm_chaos.hits("openai") == 1  # an open breaker would have asked nobody
