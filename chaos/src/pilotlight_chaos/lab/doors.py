"""How a call is made: through pilotlight, or without it, in each of the four shapes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from pilotlight import Route, StreamRestarted, failover
from pilotlight.state.url import open_board, parse_state

from .setting import Plain

BLOCKING = frozenset({"sync", "stream"})  # the other shapes are async and astream
Hear = Callable[[str], None]  # told of each piece of a stream as the caller sees it


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: `ask` blocks, `aask` does not; both hand pieces of a stream to `hear`."""

    ask: Callable[[str, str, Hear], str]
    aask: Callable[[str, str, Hear], Awaitable[str]]


def messages(prompt: str) -> list[dict[str, str]]:
    """Return a prompt as OpenAI-shaped messages."""
    return [{"role": "user", "content": prompt}]


def guarded(route: Route, *, private: bool) -> Door:
    """Return the door through pilotlight."""

    def ask(shape: str, prompt: str, hear: Hear) -> str:
        if shape == "sync":
            return route.complete(messages(prompt), private=private).text
        return heard(route.stream(messages(prompt), private=private), hear)

    async def aask(shape: str, prompt: str, hear: Hear) -> str:
        if shape == "async":
            return (await route.acomplete(messages(prompt), private=private)).text
        return await aheard(route.astream(messages(prompt), private=private), hear)

    return Door(ask, aask)


def plain(target: Plain) -> Door:
    """Return the door without pilotlight: litellm alone."""
    import litellm

    options: dict[str, Any] = {
        "model": target.litellm_model,
        "api_base": target.litellm_base,
        "api_key": target.api_key,
        "timeout": target.timeout,
    }
    if not target.sdk_retries:
        options |= {"num_retries": 0, "max_retries": 0}

    def ask(shape: str, prompt: str, hear: Hear) -> str:
        if shape == "sync":
            return text_of(litellm.completion(messages=messages(prompt), **options))
        return heard(litellm.completion(messages=messages(prompt), stream=True, **options), hear)

    async def aask(shape: str, prompt: str, hear: Hear) -> str:
        if shape == "async":
            return text_of(await litellm.acompletion(messages=messages(prompt), **options))
        chunks = await litellm.acompletion(messages=messages(prompt), stream=True, **options)
        return await aheard(chunks, hear)

    return Door(ask, aask)


def asking(door: Door, url: str) -> Door:
    """Return a door that asks the shared store in each call, as breakers with a remote storage do.

    It goes on without the store when that fails.
    """

    def look() -> None:
        with suppress(Exception), closing(open_board(parse_state(url))) as board:
            board.exchange()

    def ask(shape: str, prompt: str, hear: Hear) -> str:
        look()
        return door.ask(shape, prompt, hear)

    async def aask(shape: str, prompt: str, hear: Hear) -> str:
        await asyncio.to_thread(look)
        return await door.aask(shape, prompt, hear)

    return Door(ask, aask)


def images(route: Route) -> Door:
    """Return the decorator's door: the user's own request for an image."""

    def order(target: Any, prompt: str) -> tuple[str, dict[str, Any], dict[str, str]]:
        body = {"model": target.model.rpartition("/")[2], "prompt": prompt}
        return (
            f"{target.api_base}/images/generations",
            body,
            {"authorization": f"Bearer {target.api_key}"},
        )

    @failover(route)
    def image(prompt: str, *, target: Any) -> str:
        url, body, headers = order(target, prompt)
        reply = target.http_client().post(url, json=body, headers=headers)
        reply.raise_for_status()
        return str(reply.json()["data"][0]["revised_prompt"])

    @failover(route)
    async def aimage(prompt: str, *, target: Any) -> str:
        url, body, headers = order(target, prompt)
        reply = await target.ahttp_client().post(url, json=body, headers=headers)
        reply.raise_for_status()
        return str(reply.json()["data"][0]["revised_prompt"])

    def ask(shape: str, prompt: str, hear: Hear) -> str:
        return image(prompt)

    async def aask(shape: str, prompt: str, hear: Hear) -> str:
        return await aimage(prompt)

    return Door(ask, aask)


def heard(chunks: Any, hear: Hear) -> str:
    """Read a stream to its end; return its text, without what came before a restart."""
    said: list[str] = []
    for chunk in chunks:
        if isinstance(chunk, StreamRestarted):
            said.clear()
        piece = piece_of(chunk)
        said.append(piece)
        hear(piece)
    return "".join(said)


async def aheard(chunks: Any, hear: Hear) -> str:
    """Read an async stream to its end; return its text, without what came before a restart."""
    said: list[str] = []
    async for chunk in chunks:
        if isinstance(chunk, StreamRestarted):
            said.clear()
        piece = piece_of(chunk)
        said.append(piece)
        hear(piece)
    return "".join(said)


def text_of(response: Any) -> str:
    """Return the text of the first choice; empty when there is none."""
    return (response.choices[0].message.content or "") if response.choices else ""


def piece_of(chunk: Any) -> str:
    """Return the text of one chunk."""
    choices = getattr(chunk, "choices", None)
    return (choices[0].delta.content or "") if choices else ""
