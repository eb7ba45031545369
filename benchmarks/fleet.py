"""A provider dies under several worker processes that share their breakers' state.

Workers make Ollama calls to a chaos server, four a second each, so that starting sixteen of
them does not measure the import of litellm.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks.fleet_crew import SERVER, Crew, Redis, redis_server
from benchmarks.fleet_sim import simulated
from benchmarks.rows import Row
from pilotlight_chaos import ChaosServer

SIZES = (1, 4, 16)
PACE = 0.25  # seconds between two calls of a worker
BREAKER = {"minimum_calls": 5, "window": 2.0, "reset_timeout": 0.5, "max_reset_timeout": 0.5}
BREAKS = 4  # that are looked at
CLOSED_WITHIN = 2.0  # seconds from the provider's healing
IN_TURN = 0.95 * BREAKER["reset_timeout"]  # seconds between two trials of the fleet


def rows() -> list[Row]:
    """Measure."""
    made = []
    for number in SIZES if SERVER is None else ():
        with tempfile.TemporaryDirectory() as folder:
            made += _outage(number, "sqlite", f"sqlite:///{folder}/board.db")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "board.db")
        made.append(_lost("sqlite, file deleted", f"sqlite:///{path}", lambda: _delete(path), None))
    if SERVER is None:
        return [*made, simulated(), Row("fleet on Redis", "no redis-server here")]
    for number in SIZES:
        with redis_server() as server:
            made += _outage(number, "redis", server.url, server)
    with redis_server() as server:
        made.append(_lost("redis, kill -9", server.url, server.kill, server.start))
    return [*made, simulated()]


def _delete(path: Path) -> None:
    """Delete the board, once somebody has written to it: all may have tripped by themselves."""
    while not path.exists():
        time.sleep(0.01)
    path.unlink()


@contextmanager
def _crew(number: int, state: str) -> Iterator[tuple[Crew, ChaosServer]]:
    """Run so many workers on a healthy primary; they have made their first calls."""
    with ExitStack() as stack:
        primary = stack.enter_context(ChaosServer(models=["m"]))
        backup = stack.enter_context(ChaosServer(models=["m"]))
        common = {
            "model": "ollama/m",
            "health": "off",
            "warm": "never",
            "breaker": BREAKER,
            "retry": {"max_retries": 0},
        }
        targets = {
            "primary": {"api_base": primary.base("primary"), **common},
            "backup": {"api_base": backup.base("backup"), **common},
        }
        routes = {"chat": {"targets": list(targets)}}
        crew = Crew(number, {"targets": targets, "routes": routes, "state": state}, PACE)
        try:
            crew.wait("ready")
            yield crew, primary
        finally:
            crew.kill()


def _times(server: ChaosServer) -> list[float]:
    return [record.time for record in server.requests("primary")]


def before_open(server: ChaosServer, opened: list[float], trials: list[float]) -> int:
    """Count what a dead provider was asked before the last process opened, but for trials."""
    last = max(opened)
    asked = [each for each in server.requests("primary") if each.fault and each.time <= last]
    return len(asked) - sum(each <= last for each in trials)


def _crowded(times: list[float]) -> int:
    """Count trials that came before the break of the one before them was over."""
    return sum(later - earlier < IN_TURN for earlier, later in pairwise(times))


def _outage(number: int, kind: str, state: str, server: Redis | None = None) -> list[Row]:
    named = f"{number} process{'es' * (number > 1)}, {kind}"
    with _crew(number, state) as (crew, primary):
        trips, began = server.round_trips() if server else 0, time.monotonic()
        primary.fault("primary", "server_error")
        dead_at = time.time()
        opened = crew.wait("open", dead_at)
        primary.wait_hits("primary", primary.hits("primary") + BREAKS, 30.0)
        primary.heal("primary")
        healed = time.time()
        trials = [each for each in crew.times("trial", dead_at) if each < healed]
        closed = crew.wait("closed", healed)
        rate = 0.0
        if server:
            rate = (server.round_trips() - trips) / (time.monotonic() - began) / number
        counts = crew.end()
        first = before_open(primary, opened, trials)
    spread = max(closed) - min(closed)
    allowed = BREAKER["minimum_calls"] * number
    made = [
        Row(
            f"{named}: requests on a dead primary until all are open",
            f"{first}; {counts['failed']} of {counts['calls']} calls failed",
            f"<= {allowed:.0f} (minimum_calls x processes), 0 failed",
            first <= allowed and not counts["failed"],
            values={"requests": first, **counts},
        ),
        Row(
            f"{named}: trials in {len(trials)} breaks",
            f"{len(trials)}, {_crowded(trials)} of them out of turn",
            "1 a break, for the whole fleet",
            not _crowded(trials),
            values={"trials": len(trials)},
        ),
        Row(
            f"{named}: from the provider's healing until all are closed",
            f"{max(closed) - healed:.2f} s, {spread:.2f} s of them after the good trial",
            f"<= {CLOSED_WITHIN:g} s",
            max(closed) - healed <= CLOSED_WITHIN,
            values={"from_heal": max(closed) - healed, "spread": spread},
        ),
    ]
    if server:
        made.append(
            Row(
                f"{named}: round trips a second and process",
                f"{rate:.2f}",
                "<= 2",
                rate <= 2,
                values={"rate": rate},
            )
        )
    return made


def _lost(
    kind: str, state: str, lose: Callable[[], object], regain: Callable[[], object] | None
) -> Row:
    """Lose the store in mid-outage; count failed calls, and see that trials are in turn again."""
    number = 4
    with _crew(number, state) as (crew, primary):
        primary.fault("primary", "server_error")
        crew.wait("open", time.time())
        lose()
        if regain:
            crew.wait("gone")
            regain()
            crew.wait("back")
        settled = time.time() + 2.0
        while not (late := [each for each in _times(primary) if each > settled][:BREAKS])[3:]:
            time.sleep(0.05)
        primary.heal("primary")
        closed = crew.wait("closed", healed := time.time())
        counts = crew.end()
    took, crowded = max(closed) - healed, _crowded(late)
    return Row(
        f"{number} processes, {kind} in the outage",
        f"{counts['failed']} of {counts['calls']} calls failed; then {crowded} of {len(late)} "
        f"trials out of turn; all closed {took:.2f} s after it healed",
        f"0 failed, 0 out of turn, <= {CLOSED_WITHIN:g} s",
        not counts["failed"] and not crowded and took <= CLOSED_WITHIN,
        values={"from_heal": took, **counts},
    )
