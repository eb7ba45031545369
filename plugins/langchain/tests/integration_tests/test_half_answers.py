"""A half answer is never whole, whichever event breaks, where, and however the bytes are cut."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

from langchain_pilotlight import GuardedChatModel, StreamInterrupted, guard
from pilotlight import testing

sys.path.append(str(Path(__file__).parents[4] / "tests" / "providers"))

from broken_streams import SPARE, STREAMS, TEXT, WORDS, Sent, Server, broken_streams

WIRES = ["openai", "ollama"]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def guarded(server: Server, wire: str) -> GuardedChatModel:
    spare = ChatOpenAI(model="spare", base_url=f"{server.base}/spare/v1", api_key="k")
    if wire == "ollama":
        return guard(ChatOllama(model="m", base_url=server.base), fallback=spare)
    return guard(ChatOpenAI(model="m", base_url=f"{server.base}/v1", api_key="k"), fallback=spare)


def read(model: GuardedChatModel, colour: str) -> tuple[str, bool]:
    """Return the text that was handed on, and whether it was told that this is not all."""
    pieces: list[str] = []

    async def aread() -> None:
        async for chunk in model.astream("hi"):
            pieces.append(str(chunk.text))

    try:
        if colour == "astream":
            asyncio.run(aread())
        else:
            for chunk in model.stream("hi"):
                pieces.append(str(chunk.text))
    except StreamInterrupted:
        return "".join(pieces), True
    return "".join(pieces), False


@pytest.mark.parametrize("colour", ["stream", "astream"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_half_answer_is_never_whole(server: Server, wire: str, colour: str) -> None:
    model = guarded(server, wire)
    server.sent = Sent(wire, tuple(STREAMS[wire](WORDS)))
    assert read(model, colour) == (TEXT, False)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(broken_streams(wire))
    def holds(sent: Any) -> None:
        testing.reset()  # each example is the first
        server.sent = sent
        text, told = read(guarded(server, wire), colour)
        if told:
            assert TEXT.startswith(text)
        else:
            assert text in (TEXT, SPARE)

    holds()
