"""What pilotlight adds to a call when nothing is wrong, over a target that answers at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.measure import US, Figure, each, interleaved, less, quiet_collector
from benchmarks.noop import CHUNK, AsyncSource, Noop, Source, route_to
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight import failover
from pilotlight.core.steps import Attempt, Call

SYNC, ASYNC = 60e-6, 80e-6
TIMES = 300
ROUNDS = 11
LONG = 401
ASK = [{"role": "user", "content": "hi"}]
ROUTER = {
    "sync": f"Router adds 1400-2200 us ({PEERS_AS_OF})",
    "async": f"Router adds 1700-2900 us ({PEERS_AS_OF})",
}


def rows() -> list[Row]:
    """Measure."""
    found = interleaved(_sync_cases(), ROUNDS + 1)
    found |= asyncio.run(_async_found())
    found = {name: spent[1:] for name, spent in found.items()}  # the first round warms up
    return [*_call_rows(found), *_stream_rows(found)]


def _sync_cases() -> dict[str, Callable[[], float]]:
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
    cases: dict[str, tuple[Callable[[], object], int]] = {
        "sync bare": (lambda: provider.complete(call, attempt), TIMES),
        "sync route": (lambda: route.complete(ASK), TIMES),
        "sync function": (lambda: plain("hi"), TIMES),
        "sync decorator": (lambda: decorated("hi"), TIMES),
        "sync stream bare": (lambda: list(Source(1)), TIMES),
        "sync stream": (lambda: drain(one), TIMES),
        "sync stream bare long": (lambda: list(Source(LONG)), 20),
        "sync stream long": (lambda: drain(many), 20),
        "sync generator": (lambda: list(words(1)), TIMES),
        "sync generator long": (lambda: list(words(LONG)), 20),
    }
    return {name: partial(each, case, times) for name, (case, times) in cases.items()}


async def _async_found() -> dict[str, list[float]]:
    cases = _async_cases()
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS + 1):
        for name, (case, times) in cases.items():
            found[name].append(await _aeach(case, times))
    return found


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
        "async stream bare long": (lambda: drain(AsyncSource(LONG)), 20),
        "async stream long": (lambda: drain(many.astream(ASK)), 20),
        "async generator": (lambda: drain(words(1)), TIMES),
        "async generator long": (lambda: drain(words(LONG)), 20),
    }


async def _aeach(call: Callable[[], Awaitable[object]], times: int) -> float:
    spent = []
    with quiet_collector():
        for _ in range(times):
            began = time.perf_counter_ns()
            await call()
            spent.append(time.perf_counter_ns() - began)
    return statistics.median(spent) / 1e9


def _call_rows(found: Mapping[str, list[float]]) -> list[Row]:
    doors = {
        "sync": (SYNC, "Route.complete", "@failover function"),
        "async": (ASYNC, "Route.acomplete", "@failover coroutine"),
    }
    made = []
    for colour, (limit, route, function) in doors.items():
        added = less(found, f"{colour} route", f"{colour} bare")
        made.append(_row(f"adds to a call: {route}", added, limit, ROUTER[colour]))
        added = less(found, f"{colour} decorator", f"{colour} function")
        made.append(_row(f"adds to a call: {function}", added, limit))
    return made


def _stream_rows(found: Mapping[str, list[float]]) -> list[Row]:
    made = []
    for colour, limit in (("sync", SYNC), ("async", ASYNC)):
        base = f"{colour} stream bare"
        for kind, told in (("stream", "Route stream"), ("generator", "@failover generator")):
            case = f"{colour} {kind}"
            added = less(found, case, base)
            made.append(_row(f"adds to a stream, {colour} {told}", added, limit))
            spent = less(found, f"{case} long", f"{base} long").rounds
            pairs = zip(spent, added.rounds, strict=True)
            chunk = Figure([(many - one) / (LONG - 1) for many, one in pairs])
            made.append(_row(f"adds to each of its chunks, {colour} {told}", chunk, None))
    return made


def _row(figure: str, added: Figure, limit: float | None, peers: str = "") -> Row:
    if limit is None:
        return Row(figure, _told(added), values=added.values())
    ok = added.median <= limit
    return Row(figure, _told(added), f"<= {limit * US:.0f} us", ok, peers, added.values())


def _told(added: Figure) -> str:
    if added.median > 5e-6:
        return added.told("us")
    low, high = min(added.rounds) * US, max(added.rounds) * US
    return f"{added.median * US:.2f} us ({low:.2f}-{high:.2f})"
