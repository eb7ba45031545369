"""What a stream of twenty chunks costs, until its first token and to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

from benchmarks.canned import CHUNKS, canned
from benchmarks.chart import Bar, Chart, bar
from benchmarks.clients import Client, ollama_wire, openai_wire
from benchmarks.measure import Figure, Spent, ainterleaved, interleaved, less, settle, spending
from benchmarks.rows import Row
from benchmarks.versus import NATIVE, OURS, RAW, kind, versus

ROUNDS, TIMES, WARM = 6, 8, 5
CPU, LOCAL = 2.0, 1.5  # times raw httpx, times the raw ollama client
GAP = 5  # milliseconds between two chunks, where they do not come at once


class Streamed(NamedTuple):
    """What one stream of a block took; `first` is until the first text, in seconds."""

    spent: Spent
    first: float


Found = Mapping[str, Sequence[Streamed]]


def rows() -> list[Row]:
    """Measure."""
    with canned() as server:
        wire, local = openai_wire(server), ollama_wire(server)
        return asyncio.run(_rows(wire, openai_wire(server, gap=GAP), local))


async def _rows(
    wire: Mapping[str, Client],
    slow: Mapping[str, Client],
    local: Mapping[str, Client],
) -> list[Row]:
    whole = f"{CHUNKS}-chunk stream"
    found, afound = measured(wire), await _afound(wire)
    gaps = measured(slow, rounds=5, times=2)
    return [
        versus(f"{whole}, sync", spent_of(found), RAW, CPU, "stream"),
        versus(f"{whole}, async", spent_of(afound), RAW, CPU, "stream"),
        versus(f"{whole}, {GAP} ms between chunks, sync", spent_of(gaps), RAW),
        _first(f"{whole}, time to first token, sync", found),
        _first(f"{whole}, time to first token, async", afound),
        _chunk("CPU of each streamed chunk, sync", found, gaps),
        versus(f"{whole}, Ollama, sync", spent_of(measured(local)), NATIVE, LOCAL, "ollama"),
        versus(f"{whole}, Ollama, async", spent_of(await _afound(local)), NATIVE, LOCAL, "ollama"),
    ]


def spent_of(found: Found) -> dict[str, list[Spent]]:
    return {name: [each.spent for each in rounds] for name, rounds in found.items()}


def _first(figure: str, found: Found) -> Row:
    firsts = {name: [each.first for each in rounds] for name, rounds in found.items()}
    added = less(firsts, OURS, RAW)
    told = {name: f"{Figure(rounds).median * 1e3:.2f} ms" for name, rounds in firsts.items()}
    ours, base = told.pop(OURS), told.pop(RAW)
    return Row(
        figure,
        f"{ours}; {RAW} {base}: adds {added.told('ms')}",
        peers="; ".join(f"{name} {each}" for name, each in told.items()) + " (live)",
        values={"first": firsts},
        chart=Chart(figure, "ms", _bars(firsts, 1e3)).as_json(),
    )


def _chunk(figure: str, found: Found, gaps: Found) -> Row:
    """Take the stream without its beginning, by the clock; with gaps, take its CPU."""
    each = {
        name: [(one.spent.wall - one.first) / CHUNKS for one in rounds]
        for name, rounds in found.items()
    }
    apart = {
        name: median(one.spent.cpu for one in rounds) / CHUNKS * 1e6
        for name, rounds in gaps.items()
    }
    told = {
        name: f"{median(rounds) * 1e6:.0f} us at once, {apart[name]:.0f} us apart"
        for name, rounds in each.items()
    }
    ours, base = told.pop(OURS), told.pop(RAW)
    return Row(
        figure,
        f"{ours}; {RAW} {base}",
        peers="; ".join(f"{name} {said}" for name, said in told.items()) + " (live)",
        values={"at_once": each, "apart_us": apart},
        chart=Chart(figure, "us", _bars(each, 1e6)).as_json(),
    )


def _bars(found: Mapping[str, Sequence[float]], scale: float) -> list[Bar]:
    return [bar(name, rounds, kind(name, RAW), scale) for name, rounds in found.items()]


def _block(client: Client, times: int) -> Streamed:
    firsts, spent = [], list[Spent]()
    with spending(spent, times):
        for _ in range(times):
            began, first = time.perf_counter(), None
            for text in client.stream():
                if first is None and text:
                    first = time.perf_counter() - began
            firsts.append(first or 0.0)
    return Streamed(spent[0], median(firsts))


async def _ablock(client: Client, times: int) -> Streamed:
    firsts, spent = [], list[Spent]()
    with spending(spent, times):
        for _ in range(times):
            began, first = time.perf_counter(), None
            async for text in client.astream():
                if first is None and text:
                    first = time.perf_counter() - began
            firsts.append(first or 0.0)
    return Streamed(spent[0], median(firsts))


def measured(clients: Mapping[str, Client], rounds: int = ROUNDS, times: int = TIMES) -> Found:
    for client in clients.values():
        _block(client, WARM)
    settle()
    cases = {name: partial(_block, client, times) for name, client in clients.items()}
    return interleaved(cases, rounds)


async def _afound(clients: Mapping[str, Client]) -> Found:
    for client in clients.values():
        await _ablock(client, WARM)
    settle()
    cases = {name: partial(_ablock, client, TIMES) for name, client in clients.items()}
    return await ainterleaved(cases, ROUNDS)
