"""Every way to make one call: four shapes by three doors, each returning the text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from pilotlight import failover, load
from pilotlight.core.flow.steps import StreamRestarted
from pilotlight.doors import dropin
from pilotlight.routes.route import Route

SHAPES = ("complete", "acomplete", "stream", "astream")
DOORS = ("client", "decorator", "dropin")
WAYS = [(door, shape) for door in DOORS for shape in SHAPES]
HELLO = [{"role": "user", "content": "hello"}]


# The ways to make one call.


def text_of(items: list[Any]) -> str:
    """The text of the chunks or items after the last restart."""
    starts = [n for n, item in enumerate(items) if isinstance(item, StreamRestarted)]
    kept = items[starts[-1] + 1 :] if starts else items
    return "".join(
        item if isinstance(item, str) else item.choices[0].delta.content or "" for item in kept
    )


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


def by_client(shape: str, route: Route, **how: Any) -> str:
    if shape == "complete":
        return route.complete(HELLO, **how).text
    if shape == "acomplete":
        return asyncio.run(route.acomplete(HELLO, **how)).text
    if shape == "stream":
        return text_of(list(route.stream(HELLO, **how)))

    async def main() -> list[Any]:
        return await collected(route.astream(HELLO, **how))

    return text_of(asyncio.run(main()))


def decorated(shape: str, route: Route, **how: Any) -> Callable[[], Any]:
    guard = failover(route, **how)
    if shape == "complete":

        @guard
        def say(*, target: Any) -> str:
            return target.say()

        return say
    if shape == "acomplete":

        @guard
        async def asay(*, target: Any) -> str:
            return target.say()

        return asay
    if shape == "stream":

        @guard
        def words(*, target: Any) -> Iterator[str]:
            yield from target.words()

        return words

    @guard
    async def awords(*, target: Any) -> AsyncIterator[str]:
        for word in target.words():
            yield word

    return awords


def by_decorator(shape: str, route: Route, *, private: bool = False, **how: Any) -> str:
    function = decorated(shape, route, private=private, **how)
    if shape == "complete":
        return function()
    if shape == "acomplete":
        return asyncio.run(function())
    return text_of(list(function()) if shape == "stream" else asyncio.run(collected(function())))


def by_dropin(shape: str, route: Route, *, total_timeout: float | None = None, **how: Any) -> str:
    pilot = load({"targets": {"a": {"model": "ollama/a"}}, "routes": {"chat": {"targets": ["a"]}}})
    pilot._routes["chat"] = route
    given = {"model": "chat", "messages": HELLO, "total_timeout": total_timeout, **how}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropin, "default", lambda: pilot)
        if shape == "complete":
            return dropin.completion(**given).choices[0].message.content
        if shape == "stream":
            return text_of(list(dropin.completion(**given, stream=True)))
        if shape == "acomplete":
            return asyncio.run(dropin.acompletion(**given)).choices[0].message.content

        async def main() -> list[Any]:
            return await collected(await dropin.acompletion(**given, stream=True))

        return text_of(asyncio.run(main()))


CALLERS = {"client": by_client, "decorator": by_decorator, "dropin": by_dropin}


def run(door: str, shape: str, route: Route, **how: Any) -> str:
    """Make one call; return its text, or raise what it raises."""
    return CALLERS[door](shape, route, **how)
