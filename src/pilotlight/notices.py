"""What an operator should see by default: one line when something changes, not one a call.

Written at WARNING and above to the logger `pilotlight`, which Python shows on stderr where an
application has set up no log, as Django's default settings have none for libraries.  The message
has the facts; the same facts go along as `extra`, with `event_name`.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pilotlight.plain import logger
from pilotlight.vocabulary.faults import RULES, Effect

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import Receipt

SWITCH: Final = "PILOTLIGHT_TELEMETRY"  # in the environment; "off": no spans, metrics or lines
CALM: Final = 60.0  # seconds
UNSTEADY: Final = 4  # changes within that time after which they are not told one by one
ROUTES: Final = 1024  # that are remembered

State = Literal["first", "elsewhere", "nobody"]

_log = logger("pilotlight")
_breakers = logger("pilotlight.breaker")


def switched_off() -> bool:
    """Tell whether the environment wants no lines."""
    return os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no")


def _say(log: logging.Logger, level: int, message: str, event: str, facts: dict[str, Any]) -> None:
    if log.isEnabledFor(level) and not switched_off():
        log.log(level, "%s", message, extra={"event_name": f"pilotlight.{event}", **facts})


# Breakers.

_REASONS: Final = {
    "failure_rate": "too many of its last calls failed",
    "slow_call_rate": "too many of its last calls were slow",
    "trial_failed": "its trial failed",
    "health_check": "its health check failed",
}


def breaker_moved(
    target: str, old: str, new: str, reason: str, retry_after: float | None, learned: bool, row: int
) -> None:
    """Tell a breaker's move; that a trial failed is no news. `row`: failures one after another."""
    facts = {"target": target, "from_state": old, "to_state": new, "reason": reason}
    why = _REASONS.get(reason, reason.replace("_", " "))
    if reason == "consecutive_failures":
        why = f"{row} consecutive failures"
    by = ", told by another process" if learned else ""
    match new:
        case "open":
            level = logging.WARNING if old == "closed" else logging.INFO
            told = f"opened ({why}){by}, {_next(retry_after)}"
        case "closed":
            level, told = logging.WARNING, f"closed again{by}"
        case _:
            level, told = logging.INFO, "half-open: a trial is let through"
    _say(_breakers, level, f"breaker {target}: {told}", "breaker.transition", facts)


def _next(retry_after: float | None) -> str:
    if retry_after is None or math.isinf(retry_after):
        return "no trial until somebody has acted"
    return f"next trial in {_time(retry_after)}"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


# Prices.


def price_changed(target: str, model: str, changes: str) -> None:
    """Tell that a price is not the one that was agreed to."""
    facts = {"target": target, "model": model}
    told = f"price {target}: {changes}; `pilotlight prices --lock` agrees"
    _say(_log, logging.WARNING, told, "price.changed", facts)


# Routes.


@dataclass(slots=True)
class _Route:
    """Who answers a route's calls just now, and what has happened since its first target did."""

    state: State = "first"
    since: float = 0.0
    elsewhere: int = 0
    unanswered: int = 0
    last: float = 0.0  # when the first target last failed to answer
    unsteady: bool = False
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=UNSTEADY))


away: Final[set[str]] = set()
"""Routes whose first target does not answer; looked at by every call."""
_routes: OrderedDict[str, _Route] = OrderedDict()
_lock = threading.Lock()
# What of a target that was not asked says how it is; the others are about the call, or the queue.
_ILL: Final = frozenset({"breaker_open", "suspected", "asked_to_wait", "retired"})


def _forked() -> None:
    global _lock  # noqa: PLW0603 - whoever held it is not in the child
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)


def reset() -> None:
    """Forget what was told, as between two tests."""
    with _lock:
        _routes.clear()
        away.clear()


def call_ended(receipt: Receipt, first: str, now: float) -> None:
    """Take note of how a call ended, and tell what has changed for its route by that.

    Asked of each call that its route's `first` target did not answer, and of all calls of a
    route that is `away`.
    """
    state = _state(receipt, first)
    if state is None:
        return
    with _lock:
        route = _routes.setdefault(receipt.route, _Route())
        _routes.move_to_end(receipt.route)
        if len(_routes) > ROUTES:
            away.discard(_routes.popitem(last=False)[0])
        line = _line(route, state, receipt, first, now)
        (away.discard if route.state == "first" else away.add)(receipt.route)
    if line is not None:
        level, message, event, facts = line
        _say(_log, level, message, event, {"route": receipt.route, **facts})


def _state(receipt: Receipt, first: str) -> State | None:
    """Return what a call says of its route; None: only of itself, as a private one does."""
    if receipt.outcome == "primary":
        return "first"
    ill = any(
        each.target == first
        and each.fault is not None
        and RULES[each.fault].breaker is not Effect.IGNORES
        for each in receipt.attempts
    ) or any(each.target == first and each.reason in _ILL for each in receipt.skipped)
    if not ill or receipt.outcome not in ("failover", "exhausted"):
        return None
    return "elsewhere" if receipt.outcome == "failover" else "nobody"


_Line = tuple[int, str, str, dict[str, Any]]


def _line(route: _Route, state: State, receipt: Receipt, first: str, now: float) -> _Line | None:
    """Return the line of a change, if it is one; expects the lock."""
    name = receipt.route
    if state == "first":
        if route.state == "first" or (route.unsteady and now - route.last < CALM):
            return None
        facts = {"target": first, "elsewhere": route.elsewhere, "unanswered": route.unanswered}
        told = f"back {name}: {first} answers again; {_since(route, now)}"
        _routes[name] = _Route(changes=route.changes)
        route.state = "first"
        route.changes.append(now)
        return logging.WARNING, told, "route.back", facts
    if route.state == "first":
        route.since = now - receipt.duration
    route.last = now
    route.elsewhere += state == "elsewhere"
    route.unanswered += state == "nobody"
    if route.state == state:
        return None
    route.state = state
    restless = len(route.changes) == UNSTEADY and now - route.changes[0] < CALM
    route.changes.append(now)
    if restless or route.unsteady:
        told = f"unsteady {name}: {first} fails now and then; its return is told when it lasts"
        known, route.unsteady = route.unsteady, True
        return None if known else (logging.WARNING, told, "route.unsteady", {"target": first})
    if state == "nobody":
        told = f"nobody {name}: no target answered ({_each(receipt)}, {_time(receipt.duration)})"
        return logging.ERROR, told, "route.nobody", {"target": first}
    why, lost = _why(receipt, first)
    to = receipt.served_by or ""
    told = f"failover {name}: {first} -> {to} ({', '.join([why, *lost])})"
    return logging.WARNING, told, "route.failover", {"from_target": first, "to_target": to}


def _since(route: _Route, now: float) -> str:
    calls = "call" if route.elsewhere == 1 else "calls"
    told = f"{route.elsewhere} {calls} went elsewhere"
    if route.unanswered:
        told += f", {route.unanswered} got no answer,"
    return f"{told} in {_time(now - route.since)}"


def _why(receipt: Receipt, first: str) -> tuple[str, list[str]]:
    """Return why the first target did not answer, and what that has cost the call."""
    tries = [each for each in receipt.attempts if each.target == first]
    if not tries:
        skip = next(each for each in receipt.skipped if each.target == first)
        return skip.reason, []
    last = tries[-1]
    why = f"{last.fault} {last.status}" if last.status else str(last.fault)
    attempts = "1 attempt" if len(tries) == 1 else f"{len(tries)} attempts"
    return why, [attempts, _time(receipt.attempts[-1].began)]


def _each(receipt: Receipt) -> str:
    """Return for each target why it did not answer, in a word or two."""
    told = {
        each.target: f"{each.fault} {each.status}" if each.status else str(each.fault)
        for each in receipt.attempts
    }
    told = {each.target: each.reason for each in receipt.skipped} | told
    return "; ".join(f"{target} {why}" for target, why in told.items())
