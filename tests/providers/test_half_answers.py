"""A half answer is never whole, whichever event breaks, how, where, and however the bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from broken_streams import SPARE, STREAMS, TEXT, WORDS, Sent, Server, broken_streams
from hypothesis import given, settings

from pilotlight import StreamInterrupted, failover, receipts
from pilotlight.app import Pilotlight
from pilotlight.config.schema import parse
from pilotlight.registry import Registry
from pilotlight.routes.answer import chunk_text
from pilotlight.routes.route import Route

ASK = [{"role": "user", "content": "hi"}]
COLOURS = ["sync", "async"]
# How a stream may be read: the wire it has, and the target that reads it.
READERS: dict[str, tuple[str, dict[str, Any]]] = {
    "direct": ("openai", {"model": "openai/m", "api_base": "{}/v1"}),
    "litellm": ("openai", {"model": "openai/m", "api_base": "{}/v1", "via": "litellm"}),
    "handler": ("openai", {"model": "deepseek/m", "api_base": "{}/v1", "via": "litellm"}),
    "responses": ("responses", {"model": "openai/responses/m", "api_base": "{}/v1"}),
    "anthropic": ("anthropic", {"model": "anthropic/m", "api_base": "{}"}),
    "gemini": ("gemini", {"model": "gemini/m", "api_base": "{}/v1beta"}),
    "claude-litellm": ("anthropic", {"model": "anthropic/m", "api_base": "{}", "via": "litellm"}),
    "gemini-litellm": ("gemini", {"model": "gemini/m", "api_base": "{}/v1beta", "via": "litellm"}),
    "cohere": ("cohere", {"model": "cohere/m", "api_base": "{}"}),
    "ollama": ("ollama", {"model": "ollama/m", "api_base": "{}", "health": "off"}),
}
# How often each is tried: litellm takes its time.
TIMES = dict.fromkeys(("direct", "responses", "anthropic", "gemini", "cohere", "ollama"), 200)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def route(server: Server) -> Iterator[Callable[..., Route]]:
    apps: dict[Any, Pilotlight] = {}

    def made(reader: str, **policy: Any) -> Route:
        key = (reader, *policy.items())
        if key not in apps:
            target = {"retry": {"max_retries": 0}, **READERS[reader][1]}
            if reader != "ollama":
                target["api_key"] = f"k-{reader}"
            target["api_base"] = target["api_base"].format(server.base)
            spare = {"model": "openai/spare", "api_base": f"{server.base}/spare/v1", "api_key": "s"}
            named = {"targets": ["first", "spare"], **policy}
            data = {"targets": {"first": target, "spare": spare}, "routes": {"r": named}}
            apps[key] = Pilotlight(parse(data, "test"), registry=Registry())
        apps[key].target("first").health.breaker.close()  # each example is the first
        return apps[key].route("r")

    yield made
    for app in apps.values():
        app.close()


def read(route: Route, colour: str) -> tuple[str, bool]:
    """Return the text that was handed on, and whether it was told that this is not all."""
    pieces: list[str] = []

    async def run() -> None:
        async with route.astream(ASK) as stream:
            async for chunk in stream:
                pieces.append(chunk_text(chunk))

    try:
        if colour == "async":
            asyncio.run(run())
        else:
            pieces.extend(map(chunk_text, route.stream(ASK)))
    except StreamInterrupted as told:
        assert told.partial_text == "".join(pieces)
        return "".join(pieces), True
    return "".join(pieces), False


def check(text: str, told: bool) -> None:
    """The text is whole, or it was told; what was handed on before has no hole."""
    if told:
        assert TEXT.startswith(text)
    else:
        assert text in (TEXT, SPARE)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("reader", READERS)
def test_a_stream_that_is_well_is_whole(
    server: Server, route: Callable[..., Route], reader: str, colour: str
) -> None:
    wire = READERS[reader][0]
    server.sent = Sent(wire, tuple(STREAMS[wire](WORDS)))
    assert read(route(reader), colour) == (TEXT, False)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("reader", READERS)
def test_a_half_answer_is_never_whole(
    server: Server, route: Callable[..., Route], reader: str, colour: str
) -> None:
    @settings(max_examples=TIMES.get(reader, 60))
    @given(broken_streams(READERS[reader][0]))
    def holds(sent: Sent) -> None:
        server.sent = sent
        check(*read(route(reader), colour))

    holds()


# The user may want it otherwise.


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("broken", ["<html>", "[1]", "cut", "odd"])
@pytest.mark.parametrize("reader", ["direct", "responses", "cohere", "ollama"])
def test_a_broken_event_is_left_out_if_the_route_says_so(
    server: Server, route: Callable[..., Route], reader: str, broken: str, colour: str
) -> None:
    wire = READERS[reader][0]
    events = STREAMS[wire](WORDS)
    at = next(place for place, event in enumerate(events) if b"five" in event)
    frame, end = (b"", b"\n") if wire == "ollama" else (b"data: ", b"\n\n")
    forms = {"cut": events[at][:-9] + end, "odd": events[at].replace(b'"five "', b"5")}
    events[at] = forms.get(broken, frame + broken.encode() + end)
    server.sent = Sent(wire, (b"".join(events),))
    with receipts() as log:
        said = read(route(reader, on_broken_event="skip"), colour)
    assert said == (TEXT.replace("five ", ""), False)
    assert log[0].attempts[0].flags == ("event_skipped",)


def test_what_litellm_passes_over_is_flagged(server: Server, route: Callable[..., Route]) -> None:
    events = STREAMS["openai"](WORDS)
    events[3:3] = [b"data: null\n\n"]
    server.sent = Sent("openai", (b"".join(events),))
    with receipts() as log:
        assert read(route("litellm", on_broken_event="skip"), "sync") == (TEXT, False)
    assert log[0].attempts[0].flags == ("event_skipped",)


# The same where somebody else's SDK reads the stream.


def by_openai(target: Any) -> Iterator[str]:
    client = openai.OpenAI(**target.openai_kwargs)
    for chunk in client.chat.completions.create(model="m", messages=ASK, stream=True):
        yield from (choice.delta.content or "" for choice in chunk.choices)


async def aby_openai(target: Any) -> AsyncIterator[str]:
    client = openai.AsyncOpenAI(**target.openai_kwargs)
    async for chunk in await client.chat.completions.create(model="m", messages=ASK, stream=True):
        for choice in chunk.choices:
            yield choice.delta.content or ""


def by_responses(target: Any) -> Iterator[str]:
    client = openai.OpenAI(**target.openai_kwargs)
    for event in client.responses.create(model="m", input="hi", stream=True):
        if event.type == "response.output_text.delta":
            yield event.delta


async def aby_responses(target: Any) -> AsyncIterator[str]:
    client = openai.AsyncOpenAI(**target.openai_kwargs)
    async for event in await client.responses.create(model="m", input="hi", stream=True):
        if event.type == "response.output_text.delta":
            yield event.delta


# Which target, which wire, and the SDK's reading in both colours.
SDKS = {
    "chat": ("direct", "openai", by_openai, aby_openai),
    "responses": ("direct", "responses", by_responses, aby_responses),
}


def decorated(route: Route, sdk: str, shape: str) -> str:
    """Read a stream inside a decorated function, which gives it back whole or item by item."""
    _, _, plain, coloured = SDKS[sdk]
    if shape == "function":

        @failover(route)
        def whole(*, target: Any) -> str:
            return SPARE if target.name == "spare" else "".join(plain(target))

        return whole()
    if shape == "coroutine":

        @failover(route)
        async def awhole(*, target: Any) -> str:
            if target.name == "spare":
                return SPARE
            return "".join([word async for word in coloured(target)])

        return asyncio.run(awhole())

    @failover(route)
    def words(*, target: Any) -> Iterator[str]:
        yield from [SPARE] if target.name == "spare" else plain(target)

    return "".join(words())


@pytest.mark.parametrize("shape", ["function", "coroutine", "generator"])
@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_in_a_decorated_function(
    server: Server, route: Callable[..., Route], sdk: str, shape: str
) -> None:
    reader, wire, *_ = SDKS[sdk]
    server.sent = Sent(wire, tuple(STREAMS[wire](WORDS)))
    assert decorated(route(reader), sdk, shape) == TEXT

    @settings(max_examples=60)
    @given(broken_streams(wire))
    def holds(sent: Sent) -> None:
        server.sent = sent
        try:
            text = decorated(route(reader), sdk, shape)
        except StreamInterrupted as told:
            check(told.partial_text, told=True)
        else:
            check(text, told=False)

    holds()
