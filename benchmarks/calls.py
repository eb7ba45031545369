"""What a whole call costs in CPU: ours, and the same wire without us; see also `dialects`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from benchmarks.canned import CHUNKS, canned
from benchmarks.clients import (
    Client,
    gathered_wire,
    has_via,
    ollama_wire,
    openai_wire,
)
from benchmarks.measure import Spent, ablock, ainterleaved, block, interleaved, settle
from benchmarks.rows import Row
from benchmarks.versus import NATIVE, PLAIN, RAW, versus

ROUNDS, TIMES, WARM = 9, 25, 10
CALL, LOCAL = 1.4, 1.5  # times raw httpx, times the raw ollama client


def rows() -> list[Row]:
    """Measure."""
    with canned() as server:
        wires = openai_wire(server), ollama_wire(server)
        return asyncio.run(_rows(*wires, gathered_wire(server)))


async def _rows(
    wire: Mapping[str, Client],
    local: Mapping[str, Client],
    gathered: Mapping[str, Client],
) -> list[Row]:
    path = "" if has_via() else " (through litellm: there is no other way yet)"
    made = []
    for told, clients, base, limit, promise in (
        (f"whole call, OpenAI wire{path}", wire, RAW, CALL, "call"),
        ("whole call, Ollama", local, NATIVE, LOCAL, "ollama"),
    ):
        made += [
            versus(f"{told}, sync", measured(clients), base, limit, promise),
            versus(f"{told}, async", await _afound(clients), base, limit, promise),
        ]
    told = f"whole call, put together of {CHUNKS} chunks"
    return [
        *made,
        versus(f"{told}, sync", measured(gathered), PLAIN),
        versus(f"{told}, async", await _afound(gathered), PLAIN),
    ]


def measured(clients: Mapping[str, Client]) -> dict[str, list[Spent]]:
    for client in clients.values():
        block(client.ask, WARM)
    settle()
    cases = {name: partial(block, client.ask, TIMES) for name, client in clients.items()}
    return interleaved(cases, ROUNDS)


async def _afound(clients: Mapping[str, Client]) -> dict[str, list[Spent]]:
    for client in clients.values():
        await ablock(client.aask, WARM)
    settle()
    cases = {name: partial(ablock, client.aask, TIMES) for name, client in clients.items()}
    return await ainterleaved(cases, ROUNDS)
