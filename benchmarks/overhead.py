"""What pilotlight adds to a call when nothing is wrong, over a target that answers at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.measure import (
    US,
    Figure,
    Spent,
    aeach_spent,
    asteadily,
    each_spent,
    less,
    settle,
    split,
    steadily,
)
from benchmarks.noop import CHUNK, AsyncSource, Noop, Source, route_to
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight import failover
from pilotlight.core.provider import Attempt, Call
from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.spending.price import Price

Rounds = Mapping[str, list[float]]
SYNC, ASYNC, BUDGET = 60e-6, 80e-6, 5e-6
PRICE = Price(input=1.0, output=2.0)
TIMES = 100
ROUNDS = 9
LONG = 401
ASK = [{"role": "user", "content": "hi"}]
ROUTER = {
    "sync": f"Router adds 1400-2200 us ({PEERS_AS_OF})",
    "async": f"Router adds 1700-2900 us ({PEERS_AS_OF})",
}


def rows() -> list[Row]:
    """Measure."""
    settle()
    found = steadily(_sync_cases(), ROUNDS)
    found |= asyncio.run(_async_found())
    walls, cpus = split(found)
    return [*_call_rows(walls, cpus), *_stream_rows(walls, cpus)]


def _sync_cases() -> dict[str, Callable[[], Spent]]:
    provider = Noop()
    route = route_to(provider)
    call, attempt = Call("bench", ASK), Attempt(route.targets[0], route.targets[0].timeouts)

    def plain(text: str) -> str:
        return text

    @failover(route)
    def decorated(text: str, *, target: Any) -> str:
        return text

    def drain(route: Any) -> None:
        for _ in route.stream(ASK):
            pass

    @failover(route)
    def words(count: int, *, target: Any) -> Any:
        for _ in range(count):
            yield CHUNK

    one, many = route_to(Noop(1)), route_to(Noop(LONG))
    book = Ledger(Budget("bench", 1e9, "day", ZoneInfo("Europe/Berlin")), time.time)
    priced, budgeted = route_to(Noop(), PRICE), route_to(Noop(), PRICE, book)
    cases: dict[str, tuple[Callable[[], object], int]] = {
        "sync bare": (lambda: provider.complete(call, attempt), TIMES),
        "sync route": (lambda: route.complete(ASK), TIMES),
        "sync function": (lambda: plain("hi"), TIMES),
        "sync decorator": (lambda: decorated("hi"), TIMES),
        "sync stream bare": (lambda: list(Source(1)), TIMES),
        "sync stream": (lambda: drain(one), TIMES),
        "sync stream bare long": (lambda: list(Source(LONG)), 8),
        "sync stream long": (lambda: drain(many), 8),
        "sync generator": (lambda: list(words(1)), TIMES),
        "sync generator long": (lambda: list(words(LONG)), 8),
        "sync priced": (lambda: priced.complete(ASK), TIMES),
        "sync budget": (lambda: budgeted.complete(ASK), TIMES),
    }
    return {name: partial(each_spent, case, times) for name, (case, times) in cases.items()}


async def _async_found() -> dict[str, list[Spent]]:
    cases = {
        name: partial(aeach_spent, case, times) for name, (case, times) in _async_cases().items()
    }
    return await asteadily(cases, ROUNDS)


def _async_cases() -> Mapping[str, tuple[Callable[[], Awaitable[object]], int]]:
    provider = Noop()
    route = route_to(provider)
    call, attempt = Call("bench", ASK), Attempt(route.targets[0], route.targets[0].timeouts)

    async def plain(text: str) -> str:
        return text

    @failover(route)
    async def decorated(text: str, *, target: Any) -> str:
        return text

    async def drain(chunks: Any) -> None:
        async for _ in chunks:
            pass

    @failover(route)
    async def words(count: int, *, target: Any) -> Any:
        for _ in range(count):
            yield CHUNK

    one, many = route_to(Noop(1)), route_to(Noop(LONG))
    return {
        "async bare": (lambda: provider.acomplete(call, attempt), TIMES),
        "async route": (lambda: route.acomplete(ASK), TIMES),
        "async function": (lambda: plain("hi"), TIMES),
        "async decorator": (lambda: decorated("hi"), TIMES),
        "async stream bare": (lambda: drain(AsyncSource(1)), TIMES),
        "async stream": (lambda: drain(one.astream(ASK)), TIMES),
        "async stream bare long": (lambda: drain(AsyncSource(LONG)), 8),
        "async stream long": (lambda: drain(many.astream(ASK)), 8),
        "async generator": (lambda: drain(words(1)), TIMES),
        "async generator long": (lambda: drain(words(LONG)), 8),
    }


def _call_rows(walls: Rounds, cpus: Rounds) -> list[Row]:
    doors = {
        "sync": (SYNC, "Route.complete", "@failover function"),
        "async": (ASYNC, "Route.acomplete", "@failover coroutine"),
    }
    made = []
    for colour, (limit, route, function) in doors.items():
        for case, base, told in (("route", "bare", route), ("decorator", "function", function)):
            pair = f"{colour} {case}", f"{colour} {base}"
            peers = ROUTER[colour] if case == "route" else ""
            figure = f"adds to a call: {told}"
            made.append(_row(figure, less(cpus, *pair), less(walls, *pair), limit, peers))
    pair = "sync budget", "sync priced"
    added = less(cpus, *pair), less(walls, *pair)
    return [*made, _row("a budget adds to a call: Route.complete", *added, BUDGET)]


def _stream_rows(walls: Rounds, cpus: Rounds) -> list[Row]:
    made = []
    for colour, limit in (("sync", SYNC), ("async", ASYNC)):
        base = f"{colour} stream bare"
        for kind, told in (("stream", "Route stream"), ("generator", "@failover generator")):
            case = f"{colour} {kind}"
            added = less(cpus, case, base), less(walls, case, base)
            made.append(_row(f"adds to a stream, {colour} {told}", *added, limit))
            chunk = _per_chunk(cpus, case, base), _per_chunk(walls, case, base)
            made.append(_row(f"adds to each of its chunks, {colour} {told}", *chunk, None))
    return made


def _per_chunk(found: Rounds, case: str, base: str) -> Figure:
    many, one = less(found, f"{case} long", f"{base} long"), less(found, case, base)
    pairs = zip(many.rounds, one.rounds, strict=True)
    return Figure([(long - short) / (LONG - 1) for long, short in pairs])


def _row(figure: str, cpu: Figure, wall: Figure, limit: float | None, peers: str = "") -> Row:
    told = f"{_told(cpu)} CPU; {wall.median * US:.1f} us wall"
    values = {"cpu": cpu.values(), "wall": wall.values()}
    if limit is None:
        return Row(figure, told, values=values)
    target = f"<= {limit * US:.0f} us CPU"
    return Row(figure, told, target, cpu.median <= limit, peers, values, "added")


def _told(added: Figure) -> str:
    if added.median > 5e-6:
        return added.told("us")
    low, high = min(added.rounds) * US, max(added.rounds) * US
    return f"{added.median * US:.2f} us ({low:.2f}-{high:.2f})"
