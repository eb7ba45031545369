"""LangChain's own construct beside ours, and the difference: hits, errors, text, counts."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelError,
    ModelInvalidRequestError,
    ModelRateLimitError,
)
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel

import pilotlight
from langchain_pilotlight import AllTargetsFailed, ChatPilotlight, StreamInterrupted, guard
from pilotlight import BreakerPolicy, ConfigError

from ..conftest import config, ollama, openai

THREE_IN_A_ROW = BreakerPolicy(failure_rate=1.0, minimum_calls=3)


async def _ainvoke(model):
    return (await model.ainvoke("hi")).text


async def _astream(model):
    return "".join([chunk.text async for chunk in model.astream("hi")])


SYNC = {
    "invoke": lambda model: model.invoke("hi").text,
    "stream": lambda model: "".join(chunk.text for chunk in model.stream("hi")),
}
ASYNC = {"ainvoke": _ainvoke, "astream": _astream}
SHAPES = [*SYNC, *ASYNC]


async def ask(shape, model):
    return SYNC[shape](model) if shape in SYNC else await ASYNC[shape](model)


# Memory.


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_dead_primary_is_left_alone(server, plain, local, shape):
    server.fault("primary", "server_error")
    theirs = plain.with_fallbacks([local])
    for _ in range(20):
        assert "llama3.2" in await ask(shape, theirs)
    assert server.hits("primary") == 20
    server.reset()
    server.fault("primary", "server_error")
    ours = guard(openai(server), local, breaker=THREE_IN_A_ROW)
    for _ in range(20):
        assert "llama3.2" in await ask(shape, ours)
    assert server.hits("primary") == 3


def test_the_sdk_below_does_not_retry_by_itself(server, primary, local):
    """max_retries=2 is the class's default: retries would multiply."""
    server.fault("primary", "server_error", times=1)
    answer = guard(primary, local).invoke("hi")
    told = answer.response_metadata["pilotlight"]
    assert len(told["attempts"]) == server.hits("primary") == 2
    assert primary.root_client.max_retries == 2  # the user's own object is as it was


def test_a_trip_seen_by_the_core_is_seen_here_and_the_other_way_round(server, primary, local):
    server.fault("primary", "server_error")
    route = pilotlight.load(config(server)).route("chat")
    while route.targets[0].health.breaker.current_state == "closed":
        route.complete([{"role": "user", "content": "hi"}])
    hits = server.hits("primary")
    told = guard(primary, local).invoke("hi").response_metadata["pilotlight"]
    assert told["reason"] == "breaker_open"
    assert server.hits("primary") == hits
    other = guard(openai(server, api_key="sk-another"), local).invoke("hi")
    assert other.response_metadata["pilotlight"]["reason"] == "server_error"


# The caller's own mistakes.


def test_a_400_is_raised_and_not_failed_over(server, plain, primary, local):
    server.fault("primary", "bad_request")
    assert plain.with_fallbacks([local]).invoke("hi").text
    hits = server.hits("local")
    with pytest.raises(ModelError) as caught:
        guard(primary, local).invoke("hi")
    assert caught.value.status_code == 400
    assert server.hits("local") == hits


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ModelRateLimitError, "rate_limited"),
        (ModelAuthenticationError, "auth_failed"),
        (ModelAPIError, "server_error"),
        (ContextOverflowError, "context_exceeded"),
    ],
)
async def test_langchain_s_own_errors_are_understood_without_a_status(local, error, fault, shape):
    told = []
    with pilotlight.receipts() as log:
        told.append(await ask(shape, guard(Raising(responses=[""], error=error("x")), local)))
    assert "llama3.2" in told[0]
    assert log[0].attempts[0].fault == fault


def test_langchain_s_own_400_is_raised_as_it_is(server, local):
    mine = ModelInvalidRequestError("x")
    with pytest.raises(ModelInvalidRequestError) as caught:
        guard(Raising(responses=[""], error=mine), local).invoke("hi")
    assert caught.value is mine
    assert server.hits("local") == 0


def test_a_prompt_that_is_too_long_goes_on_to_a_model_that_is_not_known_to_be_smaller(local):
    raising = Raising(responses=[""], error=ContextOverflowError("x"))
    told = guard(raising, local).invoke("hi").response_metadata["pilotlight"]
    assert (told["reason"], told["failed_over"]) == ("context_exceeded", True)


class Raising(FakeListChatModel):
    """A partner package whose errors carry no status."""

    error: Any

    def _call(self, *args, **kwargs):
        raise self.error

    def _stream(self, *args, **kwargs):
        raise self.error
        yield

    async def _astream(self, *args, **kwargs):
        raise self.error
        yield


def test_a_bug_in_a_tool_definition_is_raised(primary, local):
    with pytest.raises(ValueError):
        guard(primary, local).invoke([("nobody", "hi")])


# Streams.


def drops_before_any_text(server):
    server.fault("primary", "cut", after=0)


def test_an_empty_role_chunk_commits_nothing(server, plain, primary, local):
    drops_before_any_text(server)
    with pytest.raises(Exception):
        list(plain.with_fallbacks([local]).stream("hi"))
    assert server.hits("local") == 0
    text = "".join(chunk.text for chunk in guard(primary, local).stream("hi"))
    assert "llama3.2" in text


@pytest.mark.parametrize("kind", ["cut", "eof"])
def test_a_stream_that_breaks_after_its_first_text_is_not_spliced(server, primary, local, kind):
    server.fault("primary", kind, after=3)
    seen = []
    with pytest.raises(StreamInterrupted) as caught:
        seen.extend(chunk.text for chunk in guard(primary, local).stream("hi"))
    assert "".join(seen) == caught.value.partial_text == "This is gpt-4o "
    assert isinstance(caught.value, ModelError)
    assert server.hits("local") == 0


async def test_a_stream_that_is_held_fails_over_unseen(server, primary, local):
    server.fault("primary", "cut", after=3)
    held = guard(primary, local, hold=True)
    assert "".join(chunk.text for chunk in held.stream("hi")).startswith("This is llama3.2")
    assert (await _astream(held)).startswith("This is llama3.2")


def test_the_receipt_stands_on_one_chunk(server, primary, local):
    server.fault("primary", "server_error")
    chunks = list(guard(primary, local).stream("hi"))
    signed = [chunk for chunk in chunks if "pilotlight" in chunk.response_metadata]
    assert len(signed) == 1
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    told = whole.response_metadata["pilotlight"]
    assert told["served_by"] == "ollama/llama3.2:3b"
    assert told["outcome"] == "failover"


# Callbacks and tokens.


class Counter(BaseCallbackHandler):
    def __init__(self):
        self.runs = 0

    def on_chat_model_start(self, *args, **kwargs):
        self.runs += 1


def test_callbacks_and_tokens_are_counted_once(server, primary, local):
    server.fault("primary", "server_error")
    counter, usage = Counter(), UsageMetadataCallbackHandler()
    answer = guard(primary, local).invoke("hi", config={"callbacks": [counter, usage]})
    assert counter.runs == 1
    assert list(usage.usage_metadata) == ["llama3.2:3b"]
    assert (
        usage.usage_metadata["llama3.2:3b"]["total_tokens"]
        == (answer.usage_metadata["total_tokens"])
    )


# What a fallback is asked with.


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def test_bound_tools_reach_the_fallback_in_its_own_language(server, primary, local):
    server.fault("primary", "server_error")
    model = guard(primary, local).bind_tools([add, {"type": "web_search_preview"}])
    answer = model.invoke("add 2 and 2 with the tool")
    assert answer.tool_calls[0]["name"] == "add"
    assert answer.tool_calls[0]["id"]
    body = server.requests("local")[-1].body
    assert [each["function"]["name"] for each in body["tools"]] == ["add"]


def test_a_vendor_s_own_tools_stay_with_the_vendor(server, local):
    claude = ChatAnthropic(
        model="claude-sonnet-9", base_url=server.base("anthropic"), api_key="k", max_retries=0
    )
    own = {"name": "find", "description": "Find.", "input_schema": {"type": "object"}}
    search = {"type": "web_search_20250305", "name": "web_search"}
    model = guard(claude, local).bind_tools([search, own, add])
    model.invoke("hi")
    asked = server.requests("anthropic")[-1].body["tools"]
    assert [each["name"] for each in asked] == ["web_search", "find", "add"]
    server.fault("anthropic", "overloaded")
    model.invoke("hi")
    asked = server.requests("local")[-1].body["tools"]
    assert [each["function"]["name"] for each in asked] == ["find", "add"]


@pytest.mark.parametrize("block", [{"type": "file"}, {"type": "audio"}])
def test_what_a_fallback_can_t_be_given_does_not_hide_the_outage(server, primary, local, block):
    server.fault("primary", "server_error")
    document = {**block, "base64": "aGk=", "mime_type": "application/pdf", "filename": "a.pdf"}
    document |= {"mime_type": "audio/wav"} if block["type"] == "audio" else {}
    with pytest.raises(AllTargetsFailed) as caught:
        guard(primary, local).invoke([HumanMessage([document])])
    assert caught.value.receipt.skipped[0].reason == "unsupported"


class Person(BaseModel):
    """A person."""

    name: str


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        (None, "format", Person.model_json_schema()["type"]),
        ("json_schema", "format", Person.model_json_schema()["type"]),
        ("json_mode", "format", "json"),
        ("function_calling", "tools", None),
    ],
)
def test_structured_output_takes_the_way_that_was_asked_for(
    server, primary, local, method, key, value
):
    """Ollama can't be made to call a tool, but it is held to a schema."""
    server.fault("primary", "server_error")
    guard(primary, local).with_structured_output(Person, method=method, include_raw=True).invoke(
        "the name is 'Bob'"
    )
    asked = server.requests("local")[-1].body
    said = asked.get(key)
    assert said
    assert value is None or value in (said, said["type"] if isinstance(said, dict) else None)


def test_a_model_that_can_t_be_held_to_a_schema_keeps_to_tool_calls(server, primary):
    claude = ChatAnthropic(
        model="claude-sonnet-9", base_url=server.base("anthropic"), api_key="k", max_retries=0
    )
    guard(primary, claude).with_structured_output(Person, include_raw=True).invoke("hi")
    assert server.requests("primary")[-1].body["tools"]


@pytest.mark.parametrize("outer", ["primary", "fallback"])
def test_what_fails_over_by_itself_is_not_guarded_again(primary, local, outer):
    inner = guard(primary, local) if outer == "primary" else ChatPilotlight()
    with pytest.raises(ConfigError, match="fails over by itself"):
        guard(inner, local) if outer == "primary" else guard(primary, inner)


def test_the_primary_s_model_and_settings_stay_with_the_primary(server, primary, local):
    server.fault("primary", "server_error")
    guard(primary, local).invoke("hi", model="gpt-4o-mini", temperature=0.5, max_tokens=7, user="u")
    body = server.requests("local")[-1].body
    assert body["model"] == "llama3.2:3b"
    assert body["options"] == {"temperature": 0.5, "num_predict": 7}
    assert "user" not in body
    assert server.requests("primary")[0].body["model"] == "gpt-4o-mini"


def test_another_provider_s_history_is_understood(server, primary, local):
    server.fault("primary", "server_error")
    said = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hmm", "signature": "x"},
            {"type": "text", "text": "Hello."},
        ],
    }
    history = [("user", "hi"), said, ("user", "and now?")]
    assert guard(primary, local).invoke(history).text
    assert server.requests("local")[-1].body["messages"][1]["content"] == "Hello."


def test_the_profile_is_what_all_of_them_can():
    strong = ollama_like({"tool_calling": True, "structured_output": True, "max_input_tokens": 9})
    weak = ollama_like({"tool_calling": True, "max_input_tokens": 5})
    profile = guard(strong, weak).profile
    assert profile == {"tool_calling": True, "structured_output": False, "max_input_tokens": 5}


def ollama_like(profile):
    from langchain_ollama import ChatOllama

    return ChatOllama(model="llama3.2", profile=profile)


def test_a_fallback_s_answer_is_not_cached_under_the_primary(server, primary, local):
    model = guard(primary, local)
    model = model.__class__(**{**dict(model), "cache": InMemoryCache()})
    server.fault("primary", "server_error", times=2)  # the try and its retry
    assert "llama3.2" in model.invoke("hi").text
    assert "gpt-4o" in model.invoke("hi").text
    hits = server.hits("primary")
    assert "gpt-4o" in model.invoke("hi").text
    assert server.hits("primary") == hits  # the primary's own answer is


# The end of the road.


@pytest.mark.parametrize("shape", SHAPES)
async def test_when_all_are_down_the_error_is_langchain_s_too(server, primary, local, shape):
    server.fault("*", "server_error")
    with pytest.raises(AllTargetsFailed) as caught:
        await ask(shape, guard(primary, local))
    assert isinstance(caught.value, ModelError)
    assert isinstance(caught.value, pilotlight.AllTargetsFailed)
    assert caught.value.is_retryable
    assert len(caught.value.receipt.attempts) >= 2


def test_a_deadline_is_kept_although_the_sdk_would_wait(server, primary):
    server.fault("primary", "hang")
    with pytest.raises(ModelError) as caught:
        guard(primary, total_timeout=0.2).invoke("hi")
    assert caught.value.receipt.attempts[0].fault == "timeout"


# Privacy.


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_private_call_stays_at_home(server, primary, local, shape):
    text = await ask(shape, guard(primary, local, private=True))
    assert "llama3.2" in text
    assert server.hits("primary") == 0
    with pilotlight.private():
        assert "llama3.2" in await ask(shape, guard(primary, local))
    assert server.hits("primary") == 0


def cloud_tag(server):
    return ollama(server, model="llama3.2:3b-cloud")


def own_transport(server):
    import httpx

    return ollama(server, client_kwargs={"transport": httpx.HTTPTransport()})


def closed(server):
    return openai(server)


@pytest.mark.parametrize("make", [cloud_tag, own_transport, closed])
def test_what_is_not_proven_local_gets_nothing_private(server, make):
    with pytest.raises(ConfigError, match="nothing was sent"):
        guard(make(server), private=True).invoke("secret")
    assert server.hits() == 0


def test_a_stub_that_runs_in_a_cloud_is_found_out(server, local):
    server.fault("local", "cloud_stub", everywhere=True)
    with pytest.raises(AllTargetsFailed):
        guard(local, private=True).invoke("secret")
    assert server.hits("local") == 0


# The other door.


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_route_as_a_chat_model(server, shape):
    server.fault("primary", "server_error")
    model: BaseChatModel = ChatPilotlight(route="chat", config=config(server))
    assert "llama3.2" in await ask(shape, model)
    told = model.invoke("hi").response_metadata["pilotlight"]
    assert (told["served_by"], told["failed_over"]) == ("local", True)
