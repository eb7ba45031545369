"""A deadline of two seconds, and a primary that never answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from benchmarks.house import ASK, BACKUP, PRIMARY, fresh, house, pair, route_over, target
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight import AllTargetsFailed, DeadlineExceeded, StreamInterrupted
from pilotlight.routes.route import Route
from pilotlight_chaos import ChaosServer

SECONDS = 2.0
ALLOWED = 2.1
EXPECTED = (AllTargetsFailed, DeadlineExceeded, StreamInterrupted)
PEERS = f"Router timeout=2: 10.6 s ({PEERS_AS_OF})"


def rows() -> list[Row]:
    """Measure the four shapes, with a second target and without, all at once: they only wait."""
    cases = [(shape, backed) for backed in (True, False) for shape in SHAPES]
    with house() as server, ThreadPoolExecutor(len(cases)) as pool:
        return list(pool.map(partial(_row, server), *zip(*cases, strict=True)))


def _row(server: ChaosServer, shape: str, backed: bool) -> Row:
    seconds, said = _once(server, SHAPES[shape], backed)
    behind = "a second target" if backed else "nobody behind"
    return Row(
        f"deadline 2 s, primary hangs, {behind}: {shape}",
        f"{seconds:.2f} s, {'answered' if said == 'F0' else said}",
        f"<= {ALLOWED} s",
        seconds <= ALLOWED and (said == "F0" or not backed),
        PEERS if backed else "",
        {"seconds": seconds, "said": said},
    )


def _once(server: ChaosServer, ask: Callable[[Route], str], backed: bool) -> tuple[float, str]:
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    server.fault(primary, "hang")
    route = (
        pair(server, primary, backup) if backed else route_over({primary: target(server, primary)})
    )
    began = time.perf_counter()
    try:
        said = ask(route)[:2]
    except EXPECTED as error:
        said = type(error).__name__
    return time.perf_counter() - began, said


def _complete(route: Route) -> str:
    return route.complete(ASK, total_timeout=SECONDS).text


def _acomplete(route: Route) -> str:
    async def ask() -> str:
        return (await route.acomplete(ASK, total_timeout=SECONDS)).text

    return asyncio.run(ask())


def _stream(route: Route) -> str:
    return "".join(_text(chunk) for chunk in route.stream(ASK, total_timeout=SECONDS))


def _astream(route: Route) -> str:
    async def ask() -> str:
        return "".join([_text(chunk) async for chunk in route.astream(ASK, total_timeout=SECONDS)])

    return asyncio.run(ask())


def _text(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


SHAPES: dict[str, Callable[[Route], str]] = {
    "complete": _complete,
    "acomplete": _acomplete,
    "stream": _stream,
    "astream": _astream,
}
