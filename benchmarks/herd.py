"""The moment a break ends: fifty callers, and a primary that is still dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from benchmarks.house import ASK, BACKUP, PRIMARY, fresh, house, route_over, target
from benchmarks.measure import together
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight.routes.answer import Answer
from pilotlight.routes.route import Route
from pilotlight_chaos import ChaosServer

CALLERS = 50
BREAK, SLOW = 0.5, 2.0  # seconds of the break, and of an attempt at what hangs
PEERS = f"Router {CALLERS} of {CALLERS} ({PEERS_AS_OF}); purgatory, aiobreaker the same"


def rows() -> list[Row]:
    """Measure, with one trial call and with three."""
    with house() as server:
        return [
            _row(server, shape, callers, trials)
            for trials in (1, 3)
            for shape, callers in (("threads", _threads), ("asyncio tasks", _tasks))
        ]


def _row(
    server: ChaosServer, shape: str, callers: Callable[[Route], list[Answer]], trials: int
) -> Row:
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    breaker = {"reset_timeout": BREAK, "trial_calls": trials}
    dying = target(server, primary, breaker=breaker, timeout=SLOW)
    route = route_over({primary: dying, backup: target(server, backup)})
    server.fault(primary, "server_error")
    guard = route.targets[0].health.breaker
    while guard.retry_after is None:
        route.complete(ASK)
    before = server.hits(primary)
    server.fault(primary, "hang")  # still dead, and it takes the whole timeout to see it
    while guard.retry_after is not None:
        time.sleep(0.005)
    answers = callers(route)
    asked = sum(each.target == primary for answer in answers for each in answer.receipt.attempts)
    answered = sum(answer.text.startswith("F0") for answer in answers)
    hits = server.hits(primary) - before
    return Row(
        f"{CALLERS} {shape} at the end of a break: on the primary",
        f"{asked} of {CALLERS}; {answered} answered; {hits} requests at the server",
        f"exactly trial_calls = {trials}",
        asked == trials and hits <= trials and answered == CALLERS,
        PEERS,
        {"asked": asked, "hits": hits, "trial_calls": trials, "answered": answered},
        "herd",
    )


def _threads(route: Route) -> list[Answer]:
    """Return what the callers were answered."""
    answers: list[Answer] = []
    together(lambda: answers.append(route.complete(ASK)), CALLERS)
    return answers


def _tasks(route: Route) -> list[Answer]:
    async def all_at_once() -> list[Answer]:
        return await asyncio.gather(*(route.acomplete(ASK) for _ in range(CALLERS)))

    return asyncio.run(all_at_once())
