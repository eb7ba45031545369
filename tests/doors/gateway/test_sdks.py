"""The official SDKs at the gateway: answers, streams, lists, failover and their own errors."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import anthropic
import httpx
import ollama
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from kit_gateway import ASK, bearer, config, ring, secret, serving

from pilotlight.doors.gateway.access import Access
from pilotlight.doors.gateway.keys import Key

HOUSE = "This is llama3.2"  # how the played local model begins


@pytest.fixture
def keyed(chaos):
    with serving(config(chaos), Access(ring(ci=Key()))) as site:
        yield site


@contextmanager
def of_openai(site, key=None):
    with openai.OpenAI(
        base_url=f"{site.url}/v1", api_key=key or secret("ci"), max_retries=0
    ) as client:
        yield client


@contextmanager
def of_anthropic(site, key=None):
    with anthropic.Anthropic(
        base_url=site.url, api_key=key or secret("ci"), max_retries=0
    ) as client:
        yield client


@contextmanager
def of_google(site, key=None):
    client = genai.Client(api_key=key or secret("ci"), http_options={"base_url": site.url})
    try:
        yield client
    finally:
        client.close()


@contextmanager
def of_ollama(site, key=None):
    client = ollama.Client(f"{site.url}/{key or secret('ci')}")
    try:
        yield client
    finally:
        client._client.close()


def chat(site, key=None, model="chat"):
    with of_openai(site, key) as client:
        said = client.chat.completions.create(model=model, messages=ASK)
        return said.choices[0].message.content


def chat_stream(site, key=None, model="chat"):
    with (
        of_openai(site, key) as client,
        client.chat.completions.create(model=model, messages=ASK, stream=True) as chunks,
    ):
        return "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)


def responses(site, key=None, model="chat"):
    with of_openai(site, key) as client:
        return client.responses.create(model=model, input="hi").output_text


def responses_stream(site, key=None, model="chat"):
    with of_openai(site, key) as client, client.responses.stream(model=model, input="hi") as stream:
        return stream.get_final_response().output_text


def messages(site, key=None, model="chat"):
    with of_anthropic(site, key) as client:
        said = client.messages.create(model=model, max_tokens=50, messages=ASK)
        return said.content[0].text


def messages_stream(site, key=None, model="chat"):
    asked = {"model": model, "max_tokens": 50, "messages": ASK}
    with of_anthropic(site, key) as client, client.messages.stream(**asked) as stream:
        return stream.get_final_text()


def gemini(site, key=None, model="chat"):
    with of_google(site, key) as client:
        return client.models.generate_content(model=model, contents="hi").text


def gemini_stream(site, key=None, model="chat"):
    with of_google(site, key) as client:
        chunks = client.models.generate_content_stream(model=model, contents="hi")
        return "".join(each.text or "" for each in chunks)


def ollama_chat(site, key=None, model="chat"):
    with of_ollama(site, key) as client:
        return client.chat(model=model, messages=ASK).message.content


def ollama_chat_stream(site, key=None, model="chat"):
    with of_ollama(site, key) as client:
        lines = client.chat(model=model, messages=ASK, stream=True)
        return "".join(each.message.content for each in lines)


def ollama_generate(site, key=None, model="chat"):
    with of_ollama(site, key) as client:
        return client.generate(model=model, prompt="hi").response


def ollama_generate_stream(site, key=None, model="chat"):
    with of_ollama(site, key) as client:
        return "".join(
            each.response for each in client.generate(model=model, prompt="hi", stream=True)
        )


WAYS = [
    chat, chat_stream, responses, responses_stream, messages, messages_stream, gemini, gemini_stream,
    ollama_chat, ollama_chat_stream, ollama_generate, ollama_generate_stream,
]  # fmt: skip
ERRORS = (
    openai.APIStatusError,
    anthropic.APIStatusError,
    genai_errors.APIError,
    ollama.ResponseError,
)


def status_of(error: Exception) -> int:
    return getattr(error, "status_code", None) or error.code


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    "fault", [None, "overloaded", "rate_limit", "cut", "truncated_json", "refused"]
)
def test_an_answer_whatever_the_first_target_does(ask, fault, keyed, chaos):
    if fault == "cut":
        chaos.fault("cloud", "cut", after=0)
    elif fault == "refused":
        chaos.fault("cloud", "reset")
    elif fault is not None:
        chaos.fault("cloud", fault)
    said = ask(keyed)
    assert said.startswith("This is gpt-4o" if fault is None else HOUSE)


@pytest.mark.parametrize("ask", WAYS)
def test_a_refusal_is_the_sdks_own_error(ask, keyed, chaos):
    with pytest.raises(ERRORS) as raised:
        ask(keyed, "plk_wrong")
    assert status_of(raised.value) == 401
    with pytest.raises(ERRORS) as raised:
        ask(keyed, model="nothing")
    assert status_of(raised.value) == 404
    assert "pilotlight/chat" in str(raised.value)
    chaos.fault("cloud", "overloaded")
    with pytest.raises(ERRORS) as raised:
        ask(keyed, model="cloud")
    assert status_of(raised.value) in (500, 503, 529)


def test_lists_and_counts(keyed):
    names = ["pilotlight/chat", "pilotlight/claude", "pilotlight/vectors", "pilotlight/cloud"]
    with of_openai(keyed) as client:
        assert [each.id for each in client.models.list()] == names
        assert client.models.retrieve("chat").id == "chat"
    with of_anthropic(keyed) as client:
        assert [each.id for each in client.models.list()] == names
        counted = client.messages.count_tokens(model="chat", messages=ASK)
        assert 1 <= counted.input_tokens <= 50
    with of_google(keyed) as client:
        assert [each.name for each in client.models.list()] == [f"models/{n}" for n in names]
        assert 1 <= client.models.count_tokens(model="chat", contents="hi").total_tokens <= 50
    with of_ollama(keyed) as client:
        assert [each.model for each in client.list().models] == names
        assert client.show("chat").capabilities == ["completion", "tools"]
        assert client.ps().models == []


def test_embeddings(keyed):
    with of_openai(keyed) as client:
        asked = {"model": "vectors", "input": ["a", "b"]}
        packed = [each.embedding for each in client.embeddings.create(**asked).data]
        plain = client.embeddings.create(**asked, encoding_format="float").data
        assert plain[1].embedding == pytest.approx(packed[1], rel=1e-6)
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="vectors", input=[[1, 2]])
    with of_ollama(keyed) as client:
        told = client.embed("vectors", ["a", "b"]).embeddings
        assert list(told[0]) == pytest.approx(packed[0], rel=1e-6)
    with of_google(keyed) as client:
        google = client.models.embed_content(model="vectors", contents=["a", "b"]).embeddings
        assert google[1].values == pytest.approx(packed[1], rel=1e-6)


@pytest.mark.processes  # seconds of it
def test_two_hundred_callers_and_their_target_dies(keyed, chaos):
    """Whoever asks is answered, before and after."""

    async def ask_all() -> list[str]:
        limits = httpx.Limits(max_connections=200)
        headers = bearer("ci")
        async with httpx.AsyncClient(
            base_url=keyed.url, headers=headers, limits=limits, trust_env=False, timeout=60
        ) as client:

            async def ask(number: int) -> str:
                body = {"model": "chat", "messages": ASK}
                said = []
                for _ in range(3):
                    reply = await client.post("/v1/chat/completions", json=body)
                    assert reply.status_code == 200, reply.text
                    said.append(reply.headers["x-pilotlight-served-by"])
                    if number == 100:
                        chaos.fault("cloud", "reset")
                return said[-1]

            return await asyncio.gather(*map(ask, range(200)))

    assert asyncio.run(ask_all()).count("local") > 0


def test_a_stream_that_breaks_is_not_ended(keyed, chaos):
    """After its first token an answer can't be taken back: the SDK must not take it for whole."""
    chaos.fault("cloud", "cut")
    broken = (openai.APIError, httpx.RemoteProtocolError, httpx.HTTPError)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of which httpx family it is differs
        chat_stream(keyed, model="cloud")
    assert isinstance(raised.value, broken) or "httpx" in type(raised.value).__module__
    with pytest.raises(Exception):  # noqa: B017
        messages_stream(keyed, model="cloud")


def test_whose_account_it_is_is_not_told(site):
    assert not any("organization" in name for name in site.chat().headers)
    assert len(site.chat().headers.get_list("date")) == 1
