"""What the caller got wrong counts against nobody: any poison, anywhere, in every door and shape.

A good call is given one leaf that can't be sent.  It is refused, or a provider that knows
better takes it; no breaker, window or budget has heard of it, and the next call is answered.
"""

from __future__ import annotations

import asyncio
import copy
import json
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import litellm
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from ways import HELLO, collected, text_of

import pilotlight
from pilotlight import ConfigError, InvalidCall, failover, load
from pilotlight.doors import dropin
from pilotlight_chaos import ChaosServer

TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "look it up",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    },
}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"what": "x"}'}}
GOOD = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "what is x?"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "y"},
    ],
    "temperature": 0.5,
    "stop": ["end"],
    "tools": [TOOL],
    "response_format": {"type": "json_object"},
    "logit_bias": {"50256": -100},
    "extra_headers": {"X-Request-Id": "1"},
    "unheard_of": {"a": [1, "b"]},
}


class Odd:
    """Somebody's own type, of which JSON knows nothing."""


def circular():
    made = {"a": []}
    made["a"].append(made)
    return made


def deep():
    made = "x"
    for _ in range(5000):
        made = [made]
    return made


POISONS = {
    "surrogate": lambda: "zebra \ud83d",
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: float("-inf"),
    "huge": lambda: 10**5000,
    "bytes": lambda: b"x",
    "set": lambda: {1},
    "complex": lambda: 1j,
    "object": object,
    "a type's object": Odd,
    "a type": lambda: Odd,
    "a function": lambda: len,
    "a generator": lambda: (each for each in ()),
    "decimal": lambda: Decimal("0.5"),
    "datetime": lambda: datetime.now(UTC),
    "circular": circular,
    "deep": deep,
}


def places(value, path=()):
    """Every place of a call, from outside; a key is marked by `None` behind its place."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            if path:
                yield (*path, key, None)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from places(inner, (*path, position))


PLACES = list(places(GOOD))


def poisoned(path, poison):
    """The good call with a poison at a place, or as a key beside it."""
    call = copy.deepcopy(GOOD)
    as_key = path[-1] is None
    *way, last = path[:-1] if as_key else path
    at = call
    for step in way:
        at = at[step]
    if not as_key:
        at[last] = poison
        return call
    try:
        at[poison] = "x"
    except TypeError:  # no key of Python's either
        at[last] = poison
    return call


@pytest.fixture(scope="module")
def server():
    with ChaosServer(models=["llama3.2:3b"]) as running:
        yield running


TARGETS = {
    "direct": lambda base: {"model": "openai/gpt-4o", "api_base": f"{base}/v1"},
    "litellm": lambda base: {"model": "openai/gpt-4o", "api_base": f"{base}/v1", "via": "litellm"},
    "anthropic": lambda base: {"model": "anthropic/claude-sonnet-4-5", "api_base": base},
    "gemini": lambda base: {"model": "gemini/gemini-2.5-flash", "api_base": base},
    "claude-litellm": lambda base: {
        "model": "anthropic/claude-sonnet-4-5",
        "api_base": base,
        "via": "litellm",
    },
    "ollama": lambda base: {"model": "ollama/llama3.2:3b", "api_base": base},
}


def pilot_of(server, kind):
    first = TARGETS[kind](server.base(kind)) | {"api_key": "k"}
    behind = {"model": "ollama/llama3.2:3b", "api_base": server.base("behind")}
    return load(
        {
            "targets": {"first": first, "behind": behind},
            "routes": {"chat": {"targets": ["first", "behind"]}},
        }
    )


def by_client(pilot, call):
    route = pilot.route("chat")
    messages = call.pop("messages")
    return [
        lambda: route.complete(messages, **call),
        lambda: asyncio.run(route.acomplete(messages, **call)),
        lambda: text_of(list(route.stream(messages, **call))),
        lambda: asyncio.run(collected(route.astream(messages, **call))),
    ]


def by_dropin(pilot, call):
    async def astream():
        return await collected(await dropin.acompletion("chat", **call, stream=True))

    return [
        lambda: dropin.completion("chat", **call),
        lambda: asyncio.run(dropin.acompletion("chat", **call)),
        lambda: list(dropin.completion("chat", **call, stream=True)),
        lambda: asyncio.run(astream()),
    ]


def blames_nobody(pilot):
    for target in pilot.route("chat").targets:
        health = target.health
        assert health.breaker.current_state == "closed", target
        assert health.breaker.state.window.failures == 0, target
        assert health.budget._tokens >= 3.0, target


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("door", [by_client, by_dropin])
@settings(max_examples=12)
@given(path=st.sampled_from(PLACES), poison=st.sampled_from(sorted(POISONS)))
def test_a_poison_is_refused_and_blames_nobody(server, door, kind, path, poison):
    pilotlight.testing.reset()
    with pilot_of(server, kind) as pilot, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropin, "default", lambda: pilot)
        for shape in door(pilot, poisoned(path, POISONS[poison]())):
            server.reset()
            try:
                shape()
            except InvalidCall as refused:
                assert "zebra" not in str(refused)
                assert not server.requests()
            except (litellm.BadRequestError, openai.BadRequestError) as refused:
                assert refused.status_code == 400  # a provider's, or a library's own
        blames_nobody(pilot)
        assert pilot.route("chat").complete(HELLO).served_by == "first"


@pytest.mark.parametrize("poison", sorted(POISONS.keys() - {"a type", "a function"}))
@pytest.mark.parametrize("operation", ["embed", "aembed", "image", "aimage"])
def test_texts_and_prompts_are_refused_too(server, operation, poison):
    server.reset()
    with pilot_of(server, "direct") as pilot:
        route = pilot.route("chat")
        ask = getattr(route, operation)
        for how in ({"given": POISONS[poison]()}, {"given": "x", "user": POISONS[poison]()}):
            text, options = how.pop("given"), how
            if "embed" in operation and not options:
                text = ["fine", text]
            with pytest.raises(InvalidCall):
                asked = ask(text, **options)
                if operation[0] == "a":
                    asyncio.run(asked)
        blames_nobody(pilot)
        assert not server.requests("direct")


# What an SDK refuses in a decorated function is the function's own affair.


def ask_openai(target, call):
    client = openai.OpenAI(**target.openai_kwargs)
    return client.chat.completions.create(
        model=target.model, messages=call["messages"], temperature=call["temperature"]
    )


def ask_litellm(target, call):
    return litellm.completion(**target.litellm_kwargs, **call)


def ask_httpx(target, call):
    url = f"{target.api_base}/chat/completions"
    body = {"model": target.model, "messages": call["messages"], "temperature": call["temperature"]}
    answer = target.http_client().post(url, json=body)
    return answer.raise_for_status().json()


@pytest.mark.parametrize("ask", [ask_openai, ask_litellm, ask_httpx])
@settings(max_examples=12)
@given(path=st.sampled_from(PLACES), poison=st.sampled_from(sorted(POISONS)))
def test_in_a_decorated_function_it_is_raised_and_blames_nobody(server, ask, path, poison):
    pilotlight.testing.reset()
    with pilot_of(server, "direct") as pilot:
        call = poisoned(path, POISONS[poison]())

        @failover(pilot.route("chat"))
        def asked(*, target):
            return ask(target, call)

        server.reset()
        try:
            asked()
        except pilotlight.AllTargetsFailed:
            raise
        except Exception:  # whatever the SDK says, it is the caller's to see
            assert not server.requests("behind")
        blames_nobody(pilot)


@pytest.mark.parametrize(
    ("headers", "sent"),
    [({"X-A": "a\r\nX-Evil: 1"}, False), ({"X-A": "é"}, False), ({"X-A": "fine"}, True)],
)
def test_a_header_that_can_not_be_sent_blames_nobody_in_a_decorated_function(server, headers, sent):
    with pilot_of(server, "direct") as pilot:
        server.reset()

        @failover(pilot.route("chat"))
        def asked(*, target):
            url = f"{target.api_base}/chat/completions"
            body = {"model": target.model, "messages": HELLO}
            return target.http_client().post(url, json=body, headers=headers).status_code

        if sent:
            assert asked() == 200
        else:
            with pytest.raises((httpx.LocalProtocolError, UnicodeEncodeError)):
                asked()
        assert bool(server.requests("direct")) is sent
        blames_nobody(pilot)


# Objects that only a library understands are the provider's to take.


class Wanted(BaseModel):
    text: str


@pytest.mark.parametrize("kind", ["litellm", "direct", "ollama"])
def test_objects_of_a_library_go_on_to_the_provider_that_takes_them(server, kind):
    seen = []
    options = {
        "response_format": Wanted,
        "metadata": {"when": datetime.now(UTC), "trace": object()},
        "logger_fn": seen.append,
        "timeout": httpx.Timeout(5),
    }
    with pilot_of(server, kind) as pilot:
        assert pilot.route("chat").complete(HELLO, **options).served_by == "first"
        sdk = [litellm.Message(role="user", content="x"), *HELLO]
        assert pilot.route("chat").complete(sdk).served_by == "first"


# Keys.


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_line_end_of_a_mounted_key_is_dropped_and_told_once(server, kind, end, caplog):
    target = TARGETS[kind](server.base(kind)) | {"api_key": f"sk-{kind}{end}"}
    for _ in range(2):
        given = {
            "targets": {f"{kind}{len(end)}": target},
            "routes": {"c": {"targets": [f"{kind}{len(end)}"]}},
        }
        with load(given) as pilot:
            assert pilot.route("c").complete(HELLO).text
    told = [record.getMessage() for record in caplog.records if "line end" in record.getMessage()]
    assert len(told) == 1
    assert f"sk-{kind}" not in told[0]


BAD_KEYS = ["sk–abc", "sk-☃", "sk-é", "sk\0", "k\r\nX-Evil: 1", "sk\n\n", " sk", "sk\t", "\ud83d"]


@pytest.mark.parametrize("key", BAD_KEYS)
@pytest.mark.parametrize("kind", TARGETS)
def test_a_key_that_no_header_can_carry_is_a_mistake_of_the_configuration(kind, key):
    target = TARGETS[kind]("http://127.0.0.1:1") | {"api_key": key}
    pilot = load({"targets": {"mine": target}, "routes": {"c": {"targets": ["mine"]}}})
    with pytest.raises(ConfigError, match="target 'mine': api_key") as caught:
        pilot.route("c")
    assert key not in str(caught.value)


def test_a_bad_key_of_the_environment_is_told_by_its_variable(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-☃")
    pilot = load({"targets": {"a": {"model": "openai/x"}}, "routes": {"c": {"targets": ["a"]}}})
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        pilot.route("c")


@pytest.mark.parametrize(
    "target",
    [
        {"model": "openai/gpt\r\nX: y"},
        {"model": "ollama/x\0"},
        {"model": "openai/x", "api_base": "http://127.0.0.1:1/\r\nX: y"},
        {"model": "ollama/x", "api_base": "http://127.0.0.1:1\n"},
        {"model": "openai/x", "options": {"extra_headers": {"X-A": "a\nb"}}},
        {"model": "openai/x", "options": {"temperature": float("nan")}},
        {"model": "ollama/x", "keep_alive": float("inf")},
    ],
)
def test_what_can_not_be_sent_is_refused_in_a_configuration(target):
    with pytest.raises(ConfigError, match=r"targets\.a\."):
        load({"targets": {"a": target}})


def test_the_good_call_is_good(server):
    for kind in TARGETS:
        with pilot_of(server, kind) as pilot:
            call = json.loads(json.dumps(GOOD))
            for shape in by_client(pilot, call):
                assert shape()
            blames_nobody(pilot)


def test_what_is_refused_after_an_answer_blames_nobody_either(server):
    with pilot_of(server, "direct") as pilot:

        @failover(pilot.route("chat"))
        def twice(*, target):
            ask_litellm(target, {"messages": HELLO})
            return ask_litellm(target, {"messages": [{"role": "user", "content": "zebra \ud83d"}]})

        for _ in range(6):
            with pytest.raises(litellm.InternalServerError):
                twice()
        blames_nobody(pilot)
