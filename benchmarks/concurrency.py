"""One breaker, many callers: does anybody wait for anybody else?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median

import pybreaker

from benchmarks.measure import Figure, interleaved, ratio, together
from benchmarks.noop import Noop, route_to
from benchmarks.rows import Row
from pilotlight.core.breaker.breaker import Breaker

THREADS = 32
TASKS = 500
SECONDS = 0.05
ALLOWED = 1.1
ASK = [{"role": "user", "content": "hi"}]


def rows() -> list[Row]:
    """Measure."""
    return [*_threads(), *_tasks()]


def _threads() -> list[Row]:
    ours, stock = Breaker("bench"), pybreaker.CircuitBreaker(fail_max=5)
    route = route_to(Noop(seconds=SECONDS))

    def sleep() -> None:
        time.sleep(SECONDS)

    cases: dict[str, Callable[[], object]] = {
        "bare": sleep,
        "breaker": lambda: ours.call(sleep),
        "route": lambda: route.complete(ASK),
    }
    found = interleaved({name: partial(together, case, THREADS) for name, case in cases.items()}, 9)
    serial = interleaved({"": lambda: together(lambda: stock.call(sleep), THREADS)}, 2)[""]
    peers = f"stock pybreaker.call {median(serial) / SECONDS:.1f}x (live)"
    return [
        _row(f"{THREADS} threads x 50 ms, one breaker", Figure(found["breaker"]), peers),
        _row(f"{THREADS} threads x 50 ms, Route.complete", Figure(found["route"]), peers),
    ]


def _row(figure: str, found: Figure, peers: str) -> Row:
    times = found.median / SECONDS
    told = f"{times:.2f}x: {found.told('ms')}"
    return Row(figure, told, f"<= {ALLOWED}x of 50 ms", times <= ALLOWED, peers, found.values())


def _tasks() -> list[Row]:
    breaker = Breaker("bench")
    route = route_to(Noop(seconds=SECONDS))

    async def bare() -> None:
        await asyncio.sleep(SECONDS)

    async def guarded() -> None:
        with breaker.acquire():
            await asyncio.sleep(SECONDS)

    async def routed() -> None:
        await route.acomplete(ASK)

    cases = {"bare": bare, "breaker": guarded, "route": routed}
    found = interleaved({name: partial(_run, case) for name, case in cases.items()}, 15)
    against = ratio(found, "breaker", "bare")
    bare_told = Figure(found["bare"]).told("ms")
    return [
        Row(
            f"{TASKS} asyncio tasks x 50 ms, one breaker",
            f"{against.median:.2f}x: {Figure(found['breaker']).told('ms')}; without {bare_told}",
            f"<= {ALLOWED}x of without",
            against.median <= ALLOWED,
            values={"ratio": against.values(), **found},
        ),
        Row(
            f"{TASKS} asyncio tasks x 50 ms, Route.acomplete",
            f"{ratio(found, 'route', 'bare').median:.2f}x: {Figure(found['route']).told('ms')}",
            values={"rounds": found["route"]},
        ),
    ]


def _run(case: Callable[[], Awaitable[None]]) -> float:
    return asyncio.run(_all(case))


async def _all(case: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(case() for _ in range(TASKS)))
    return time.perf_counter() - began
