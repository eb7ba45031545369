"""What an outage of the primary costs: requests on it, and time until the answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from benchmarks.house import ASK, BACKUP, PRIMARY, fresh, house, pair, route_over, target
from benchmarks.measure import MS, Figure
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight import StreamInterrupted
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.breaker.policy import JITTER
from pilotlight.routes.route import Route
from pilotlight_chaos import ChaosServer

CALLS = 200
THROTTLED = 15
ALLOWED = 0.005  # seconds that a 429 may add
QUICK = {"timeout": 0.5}  # a primary that hangs is found out after so many seconds
UNTUNED = f"Router num_retries=0 {CALLS}, tuned 2 ({PEERS_AS_OF})"
WAITERS = f"Router 92 s, LangChain and pydantic-ai 60 s at defaults ({PEERS_AS_OF})"


@dataclass(frozen=True, slots=True)
class Death:
    """A way in which a primary is dead; `shown` when its callers have seen text before it dies."""

    kind: str = ""  # refused
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    shown: bool = False
    peers: str = ""


DEATHS = {
    "refused": Death(peers=UNTUNED),
    "500": Death("server_error", peers=UNTUNED),
    "429": Death(
        "rate_limit", {"retry_after": 20}, peers=f"{UNTUNED}; at defaults it sleeps 61 s a call"
    ),
    "hang, 0.5 s each": Death("hang", options=QUICK, peers="Router num_retries=0 all, tuned 2"),
    "stream cut before content": Death("cut", {"after": 0}, stream=True),
    "stream cut after 3 tokens": Death("cut", {"after": 3}, stream=True, shown=True),
}


def rows() -> list[Row]:
    """Measure."""
    with house() as server:
        made = [_dead(server, told, death) for told, death in DEATHS.items()]
        made.append(_throttled(server))
        return made


def _dead(server: ChaosServer, told: str, death: Death) -> Row:
    """Make sequential calls with a primary that is dead from the start."""
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    if death.kind:
        server.fault(primary, death.kind, **death.params)
        route = pair(server, primary, backup, **death.options)
    else:
        route = route_over(_refusing(server, primary, backup))
    began = time.perf_counter()
    calls = [_stream(route) if death.stream else _call(route) for _ in range(CALLS)]
    elapsed = time.perf_counter() - began
    asked = sum(call.asked.count(primary) for call in calls)
    hits = server.hits(primary) if death.kind else asked
    interrupted = sum(call.interrupted for call in calls)
    assert bool(interrupted) == death.shown
    trials = _trials_due(elapsed)
    allowed = BreakerPolicy().minimum_calls + trials
    counted = "at the server" if death.kind else "connections tried"
    ends = f"{interrupted} told of it in mid-stream, all others" if interrupted else "all"
    spent = [call.seconds for call in calls]
    return Row(
        f"dead primary ({told}): its requests in {CALLS} calls",
        f"{hits} {counted}; {ends} answered; {_costs(spent)}",
        f"<= {allowed} (minimum_calls {allowed - trials} + {trials} trials due)",
        hits <= allowed,
        death.peers,
        {"hits": hits, "allowed": allowed, "seconds": elapsed, "calls": spent},
        "dead",
    )


def _costs(spent: Sequence[float]) -> str:
    picked = {"1st": spent[0], "2nd": spent[1], "6th": spent[5]}
    told = ", ".join(f"{name} {seconds * MS:.0f}" for name, seconds in picked.items())
    return f"calls {told} ms, median of 2nd half {median(spent[CALLS // 2 :]) * MS:.1f} ms"


class Ended(NamedTuple):
    """One call: how long it took, whom it asked, and whether it ended in mid-stream."""

    seconds: float
    asked: list[str]
    interrupted: bool = False


def _call(route: Route) -> Ended:
    began = time.perf_counter()
    answer = route.complete(ASK)
    return Ended(time.perf_counter() - began, [each.target for each in answer.receipt.attempts])


def _stream(route: Route) -> Ended:
    began, interrupted = time.perf_counter(), False
    stream = route.stream(ASK)
    try:
        for _ in stream:
            pass
    except StreamInterrupted:
        interrupted = True
    asked = [each.target for each in stream.receipt.attempts]
    return Ended(time.perf_counter() - began, asked, interrupted)


def _refusing(server: ChaosServer, primary: str, backup: str) -> dict[str, dict[str, object]]:
    """Return targets whose primary stands on a port that refuses connections."""
    with ChaosServer() as gone:
        dead = target(gone, primary)
    return {primary: dead, backup: target(server, backup)}


def _trials_due(elapsed: float) -> int:
    """Count the breaks that can have ended in so many seconds, if none costs anything."""
    return int(elapsed // (BreakerPolicy().reset_timeout * (1 - JITTER)))


def _throttled(server: ChaosServer) -> Row:
    """Time the call that meets the 429, beside the second target's route alone."""
    backup = fresh(BACKUP)
    alone = route_over({backup: target(server, backup)})
    met, plain = [], []
    for _ in range(THROTTLED):
        primary = fresh(PRIMARY)
        route = pair(server, primary, backup)
        route.complete(ASK)  # warm: its connection is open
        server.fault(primary, "rate_limit", retry_after=30)
        met.append(_timed(route, backup))
        plain.append(_timed(alone, backup))
    added = median(met) - median(plain)
    return Row(
        "429 with Retry-After 30: time added to the second target's own",
        f"{added * MS:.1f} ms: {Figure(met).told('ms')} over {Figure(plain).told('ms')}",
        f"<= {ALLOWED * MS:.0f} ms",
        added <= ALLOWED,
        WAITERS,
        {"added": added, "with_429": met, "alone": plain},
        "throttle",
    )


def _timed(route: Route, expected: str) -> float:
    began = time.perf_counter()
    answer = route.complete(ASK)
    spent = time.perf_counter() - began
    assert answer.served_by == expected
    return spent
