"""Handing an answer to LangChain, signed with its receipt on exactly one chunk.

Chunks are merged by LangChain: strings double and numbers add up, so the receipt may stand on
one of them only.  It is complete when the stream has ended, so it goes on the last.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_pilotlight._convert import KEY, says, told
from pilotlight import Receipt
from pilotlight.extension import CallContext


def signed(result: ChatResult, receipt: Receipt, first: str) -> ChatResult:
    """Put the receipt on the answer."""
    for generation in result.generations[:1]:
        generation.message.response_metadata[KEY] = told(receipt, first)
    return result


class Tail:
    """Holds back the chunks without text at the end, so that the last can be signed."""

    def __init__(self) -> None:
        self._held: list[ChatGenerationChunk] = []

    def released(self, chunk: ChatGenerationChunk) -> list[ChatGenerationChunk]:
        """Return what may be handed on now that this chunk has come."""
        self._held.append(chunk)
        if not says(chunk):
            return []
        ready, self._held = self._held, []
        return ready

    def rest(self, receipt: Receipt, first: str) -> list[ChatGenerationChunk]:
        """Return what is left, signed."""
        chunks = self._held or [ChatGenerationChunk(message=AIMessageChunk(content=""))]
        chunks[-1].message.response_metadata[KEY] = told(receipt, first)
        return chunks


def relayed(chunks: Generator[Any], ctx: CallContext, first: str) -> Iterator[ChatGenerationChunk]:
    """Yield the chunks, the last of them signed; closing it gives everything back."""
    tail = Tail()
    try:
        for chunk in chunks:
            yield from tail.released(chunk)
    finally:
        chunks.close()
    yield from tail.rest(ctx.recorder.receipt(), first)


async def arelayed(
    chunks: AsyncGenerator[Any], ctx: CallContext, first: str
) -> AsyncIterator[ChatGenerationChunk]:
    """As `relayed`, for async."""
    tail = Tail()
    try:
        async for chunk in chunks:
            for ready in tail.released(chunk):
                yield ready
    finally:
        await chunks.aclose()
    for ready in tail.rest(ctx.recorder.receipt(), first):
        yield ready
