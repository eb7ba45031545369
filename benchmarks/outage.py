"""What an outage of the primary costs: requests on it, and time until the answer."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from benchmarks.house import ASK, BACKUP, PRIMARY, fresh, house, pair, route_over, target
from benchmarks.measure import MS, Figure
from benchmarks.rows import PEERS_AS_OF, Row
from pilotlight.core.breaker import BreakerPolicy
from pilotlight.route import Route
from pilotlight_chaos import ChaosServer

CALLS = 200
THROTTLED = 15
FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "refused": ("", {}),
    "500": ("server_error", {}),
    "429": ("rate_limit", {"retry_after": 20}),
}
UNTUNED = f"Router num_retries=0 {CALLS}, tuned 2 ({PEERS_AS_OF})"
PEERS = {
    "refused": UNTUNED,
    "500": UNTUNED,
    "429": f"{UNTUNED}; at defaults it sleeps 61 s a call",
}
WAITERS = f"Router 92 s, LangChain and pydantic-ai 60 s at defaults ({PEERS_AS_OF})"


def rows() -> list[Row]:
    """Measure."""
    with house() as server:
        made = [_dead(server, kind) for kind in FAULTS]
        made.append(_throttled(server))
        return made


def _dead(server: ChaosServer, kind: str) -> Row:
    """Make sequential calls with a primary that is dead from the start."""
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    fault, params = FAULTS[kind]
    if fault:
        server.fault(primary, fault, **params)
        route = pair(server, primary, backup)
    else:
        route = route_over(_refusing(server, primary, backup))
    began = time.perf_counter()
    asked, spent = _calls(route, primary)
    elapsed = time.perf_counter() - began
    hits = server.hits(primary) if fault else asked
    trials = _trials_due(elapsed)
    allowed = BreakerPolicy().minimum_calls + trials
    counted = "at the server" if fault else "connections tried"
    return Row(
        f"dead primary ({kind}): its requests in {CALLS} calls",
        f"{hits} {counted}; all answered; call 1 {spent[0] * MS:.0f} ms, "
        f"median of 2nd half {median(spent[CALLS // 2 :]) * MS:.1f} ms",
        f"<= {allowed} (minimum_calls {allowed - trials} + {trials} trials due)",
        hits <= allowed,
        PEERS[kind],
        {"hits": hits, "allowed": allowed, "seconds": elapsed},
    )


def _refusing(server: ChaosServer, primary: str, backup: str) -> dict[str, dict[str, object]]:
    """Return targets whose primary stands on a port that refuses connections."""
    with ChaosServer() as gone:
        dead = target(gone, primary)
    return {primary: dead, backup: target(server, backup)}


def _calls(route: Route, primary: str) -> tuple[int, list[float]]:
    """Return how often the primary was asked, and the seconds of each call."""
    asked, spent = 0, []
    for _ in range(CALLS):
        began = time.perf_counter()
        answer = route.complete(ASK)
        spent.append(time.perf_counter() - began)
        asked += sum(each.target == primary for each in answer.receipt.attempts)
        assert answer.served_by != primary
    return asked, spent


def _trials_due(elapsed: float) -> int:
    """Count the breaks that can have ended in so many seconds: each twice as long."""
    policy, due = BreakerPolicy(), 0
    ends = length = policy.reset_timeout
    while ends <= elapsed:
        due += 1
        length = min(length * 2, policy.max_break)
        ends += length
    return due


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
        "<= 50 ms",
        added <= 0.05,
        WAITERS,
        {"added": added, "with_429": met, "alone": plain},
    )


def _timed(route: Route, expected: str) -> float:
    began = time.perf_counter()
    answer = route.complete(ASK)
    spent = time.perf_counter() - began
    assert answer.served_by == expected
    return spent
