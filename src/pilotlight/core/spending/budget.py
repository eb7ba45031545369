"""Budgets: what calls may cost together in an hour, a day or a month of the calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

KEY: Final = "key"  # the tag that has the name of a key of the gateway
Per = Literal["hour", "day", "month"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What some calls may cost together: `usd` in each `per` of the calendar of `zone`.

    It is about the calls of these `routes`, to these `targets`, with these `keys` of the gateway
    and these `tags`; empty: of all.
    `then` tells what becomes of a call that it has no money for: its target is skipped, or the
    call is refused.  `unknown`: so is a target without a known price ("refuse"), its calls count
    for nothing ("ignore"), or each counts for so many dollars.  `warn_at` is a share of `usd`.
    `offline` tells what a process may spend that can't reach the others it shares the budget with:
    its share of what was left when it last could, or nothing.
    """

    name: str
    usd: float
    per: Per
    zone: tzinfo = UTC
    routes: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    then: Literal["skip", "refuse"] = "skip"
    unknown: Literal["refuse", "ignore"] | float = "refuse"
    warn_at: float | None = None
    offline: Literal["local share", "refuse"] = "local share"

    def is_about(self, route: str, tags: Mapping[str, str]) -> bool:
        """Tell whether it holds for calls of a route with such tags."""
        if self.routes and route not in self.routes:
            return False
        if self.keys and tags.get(KEY) not in self.keys:
            return False
        return not self.tags or all(tags.get(name) == value for name, value in self.tags.items())

    def covers(self, target: str) -> bool:
        """Tell whether it holds for calls to a target."""
        return not self.targets or target in self.targets

    def period(self, now: float) -> tuple[float, float]:
        """Return when the period of a moment began and ends; seconds since the epoch.

        A day is the calendar's: one of 23 or 25 hours where the clocks are changed.
        """
        here = datetime.fromtimestamp(now, self.zone)
        if self.per == "hour":  # of the clock that never jumps: no hour is there twice
            began = now - now % 3600
            return began, began + 3600
        first = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.per == "day":
            return first.timestamp(), _midnight(first, days=1)
        first = first.replace(day=1)
        return first.timestamp(), _midnight(first, days=32, day=1)


def _midnight(first: datetime, *, days: int, day: int | None = None) -> float:
    """Return the midnight so many days later, by the calendar; or that of `day` in its month."""
    later = (first.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=first.tzinfo)
    return (later if day is None else later.replace(day=day)).timestamp()
