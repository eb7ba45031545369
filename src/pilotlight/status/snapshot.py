"""How this process sees its targets just now: for the status page, its JSON and the commands.

Reading it sends nothing and changes nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pilotlight.app import Pilotlight
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.target import Target
from pilotlight.records.words import money
from pilotlight.routes.route import Route

_SPANS: Final = {"hour": "this hour", "day": "today", "month": "this month"}
Standing = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target; `retry_after` in seconds, `in_flight` and `waiting` are calls.

    `breaker` is closed, open or half-open; `limit` and `queue` are None where calls are
    not limited; `check` is the last health check's word, empty when there was none.
    """

    name: str
    model: str
    local: bool
    breaker: str
    reason: str
    retry_after: float | None
    in_flight: int
    limit: int | None
    waiting: int
    queue: int | None
    check: str
    problem: str

    @property
    def well(self) -> bool:
        """Whether its breaker is closed."""
        return self.breaker == "closed"

    @property
    def admits(self) -> bool:
        """Whether its breaker would let a call through now, be it as a trial."""
        return self.retry_after is None


@dataclass(frozen=True, slots=True)
class RouteState:
    """A route: `ok` on its first target, `degraded` on another, `down` without any.

    `serving` is the first target whose breaker is closed.  Where none is, it is the first
    whose break is over: the next call tries it, and until then nobody knows.
    """

    name: str
    targets: tuple[str, ...]
    private: bool
    total_timeout: float | None
    standing: Standing
    serving: str | None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in its present period, in US dollars; `reserved` is for calls of this worker.

    `shared`: what others spend is counted too.  `renews_at` in seconds since the epoch.
    """

    name: str
    usd: float
    per: str
    spent: float
    reserved: float
    renews_at: float
    then: str
    shared: bool

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left."""
        return self.spent + self.reserved >= self.usd

    @property
    def amounts(self) -> str:
        """What is spent of it, in words: `$1.20 of $20.00 today`."""
        return f"{money(self.spent)} of {money(self.usd)} {_SPANS[self.per]}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One worker's view; `standing` is that of its worst route."""

    worker: int
    standing: Standing
    routes: tuple[RouteState, ...]
    targets: tuple[TargetState, ...]
    budgets: tuple[BudgetState, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)


def take(app: Pilotlight) -> Snapshot:
    """Look at this process's targets; raises `pilotlight.ConfigError`."""
    states = {name: _target(target) for name, target in app.targets.items()}
    routes = tuple(_route(route, states) for route in app.routes.values())
    standings = [route.standing for route in routes]
    worst = next((each for each in ("down", "degraded") if each in standings), "ok")
    budgets = budgets_of(app)
    return Snapshot(os.getpid(), worst, routes, tuple(states.values()), budgets)  # type: ignore[arg-type]


def budgets_of(app: Pilotlight) -> tuple[BudgetState, ...]:
    """Return what each budget has spent, as this process knows it."""
    return tuple(_budget(each, shared=app.config.state.shared) for each in app.ledgers.values())


def _budget(ledger: Ledger, *, shared: bool) -> BudgetState:
    budget = ledger.budget
    return BudgetState(
        budget.name,
        budget.usd,
        budget.per,
        ledger.spent,
        ledger.reserved,
        round(time.time() + ledger.renews_in),
        budget.then,
        shared,
    )


def _target(target: Target) -> TargetState:
    health = target.health
    breaker, bulkhead, check = health.breaker, health.bulkhead, health.check
    wait = breaker.retry_after
    return TargetState(
        name=target.name,
        model=target.model,
        local=target.is_local,
        breaker=breaker.state.name,
        reason=breaker.reason,
        retry_after=None if wait is None else round(wait, 1),
        in_flight=bulkhead.inside if bulkhead else 0,
        limit=bulkhead.concurrency if bulkhead else None,
        waiting=bulkhead.waiting if bulkhead else 0,
        queue=bulkhead.queue if bulkhead else None,
        check=check.state if check else "",
        problem=(check.problem or "") if check else "",
    )


def _route(route: Route, states: dict[str, TargetState]) -> RouteState:
    able = [each for each in route.targets if each.is_local or not route.private]
    names = tuple(each.name for each in able)
    known = [name for name in names if states[name].well]
    able_to_try = [name for name in names if states[name].admits]
    serving = next(iter(known + able_to_try), None)
    well = bool(known) and serving == names[0]
    standing: Standing = "ok" if well else "degraded" if serving else "down"
    return RouteState(
        route.name,
        tuple(each.name for each in route.targets),
        route.private,
        route.total_timeout,
        standing,
        serving,
    )
