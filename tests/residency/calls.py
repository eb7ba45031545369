"""Every way to make a private call, by every door and every client that a target gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import litellm
import openai
import pytest

from pilotlight import failover
from pilotlight.app import Pilotlight
from pilotlight.doors import dropin
from tests.residency.guard import MESSAGES

SHAPES = ("complete", "acomplete", "stream", "astream")
DOORS = ("client", "dropin", "litellm", "openai", "http")
WAYS = [(door, shape) for door in DOORS for shape in SHAPES]


async def _drained(items: Any) -> list[Any]:
    return [item async for item in items]


def _client(shape: str, pilot: Pilotlight, **how: Any) -> Any:
    route = pilot.route("chat")
    if shape == "complete":
        return route.complete(MESSAGES, **how).text
    if shape == "acomplete":
        return asyncio.run(route.acomplete(MESSAGES, **how)).text
    if shape == "stream":
        return list(route.stream(MESSAGES, **how))

    async def main() -> Any:
        return await _drained(route.astream(MESSAGES, **how))

    return asyncio.run(main())


def _dropin(shape: str, pilot: Pilotlight, **how: Any) -> Any:
    given = {"model": "chat", "messages": MESSAGES, **how}

    async def main() -> Any:
        return await _drained(await dropin.acompletion(**given, stream=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropin, "default", lambda: pilot)
        if shape == "complete":
            return dropin.completion(**given)
        if shape == "acomplete":
            return asyncio.run(dropin.acompletion(**given))
        return (
            list(dropin.completion(**given, stream=True))
            if shape == "stream"
            else asyncio.run(main())
        )


def _ask(sdk: str, messages: Any, target: Any, stream: bool) -> Any:
    if sdk == "litellm":
        return litellm.completion(**target.litellm_kwargs, messages=messages, stream=stream)
    body = {"model": target.model, "messages": messages, "stream": stream}
    if sdk == "openai":
        return openai.OpenAI(**target.openai_kwargs).chat.completions.create(**body)
    answer = target.http_client().post(
        f"{target.api_base}/chat/completions", json=body, follow_redirects=True
    )
    answer.raise_for_status()
    return answer.text.splitlines() if stream else answer.json()


async def _aask(sdk: str, messages: Any, target: Any, stream: bool) -> Any:
    if sdk == "litellm":
        return await litellm.acompletion(**target.litellm_kwargs, messages=messages, stream=stream)
    body = {"model": target.model, "messages": messages, "stream": stream}
    if sdk == "openai":
        return await openai.AsyncOpenAI(**target.openai_kwargs).chat.completions.create(**body)
    answer = await target.ahttp_client().post(
        f"{target.api_base}/chat/completions", json=body, follow_redirects=True
    )
    answer.raise_for_status()
    return answer.text.splitlines() if stream else answer.json()


def _decorated(sdk: str, shape: str, pilot: Pilotlight, **how: Any) -> Any:
    guard = failover(pilot.route("chat"), **how)

    @guard
    def plain(messages: Any, *, target: Any) -> Any:
        return _ask(sdk, messages, target, False)

    @guard
    async def aplain(messages: Any, *, target: Any) -> Any:
        return await _aask(sdk, messages, target, False)

    @guard
    def items(messages: Any, *, target: Any) -> Any:
        yield from _ask(sdk, messages, target, True)

    @guard
    async def aitems(messages: Any, *, target: Any) -> Any:
        chunks = await _aask(sdk, messages, target, True)
        if isinstance(chunks, list):
            for chunk in chunks:
                yield chunk
        else:
            async for chunk in chunks:
                yield chunk

    ways: dict[str, Callable[[], Any]] = {
        "complete": lambda: plain(MESSAGES),
        "acomplete": lambda: asyncio.run(aplain(MESSAGES)),
        "stream": lambda: list(items(MESSAGES)),
        "astream": lambda: asyncio.run(_drained(aitems(MESSAGES))),
    }
    return ways[shape]()


def call(door: str, shape: str, pilot: Pilotlight, **how: Any) -> Any:
    """Make one call; return what it returns, or raise what it raises."""
    if door == "client":
        return _client(shape, pilot, **how)
    if door == "dropin":
        return _dropin(shape, pilot, **how)
    return _decorated(door, shape, pilot, **how)
