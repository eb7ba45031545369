"""Budgets: what calls may cost in an hour, a day or a month, and what they have cost so far.

A call reserves what it may cost before its target is asked, and settles what it did cost, so that
calls in flight can't spend the same money twice.  Nothing here waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from pilotlight.plain import logger

Per = Literal["hour", "day", "month"]
_log = logger("pilotlight")


@dataclass(frozen=True, slots=True)
class Budget:
    """What some calls may cost together: `usd` in each `per` of the calendar of `zone`.

    It is about the calls of these `routes`, to these `targets`, with these `tags`; empty: of all.
    `then` tells what becomes of a call that it has no money for: its target is skipped, or the
    call is refused.  `unknown`: so is a target without a known price ("refuse"), its calls count
    for nothing ("ignore"), or each counts for so many dollars.  `warn_at` is a share of `usd`.
    """

    name: str
    usd: float
    per: Per
    zone: tzinfo = UTC
    routes: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    then: Literal["skip", "refuse"] = "skip"
    unknown: Literal["refuse", "ignore"] | float = "refuse"
    warn_at: float | None = None

    def is_about(self, route: str, tags: Mapping[str, str]) -> bool:
        """Tell whether it holds for calls of a route with such tags."""
        mine = all(tags.get(name) == value for name, value in self.tags.items())
        return mine and (not self.routes or route in self.routes)

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


class Ledger:
    """What has been spent of one budget, and what is reserved; threads share it."""

    def __init__(self, budget: Budget, now: Callable[[], float]) -> None:
        """`now` returns the time of day, in seconds since the epoch."""
        self.budget = budget
        self._now = now
        self._ends = budget.period(now())[1]
        self._spent = 0.0
        self._warned = False
        self.forked()

    def forked(self) -> None:
        """In a child: nobody holds the lock there, and what is reserved is the parent's."""
        self._lock = threading.Lock()
        self._reserved = 0.0

    @property
    def spent(self) -> float:
        """US dollars in this period, without what is reserved."""
        with self._lock:
            self._turn()
            return self._spent

    @property
    def reserved(self) -> float:
        """US dollars that calls in flight may still spend."""
        return self._reserved

    @property
    def renews_in(self) -> float:
        """Seconds until the next period."""
        with self._lock:
            return max(0.0, self._turn() - self._now())

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left, however little a call may cost."""
        with self._lock:
            self._turn()
            return self._spent + self._reserved >= self.budget.usd

    def reserve(self, dollars: float) -> Reservation | None:
        """Set so much aside for a call; None if there is not so much left."""
        with self._lock:
            self._turn()
            if self._spent + self._reserved + dollars > self.budget.usd:
                return None
            self._reserved += dollars
        return Reservation(self, dollars)

    def _turn(self) -> float:
        """Begin the next period if this one is over, and return when it ends.

        Once begun, a period is not left for an earlier one: a clock that was set back gives
        nobody the same money again.
        """
        now = self._now()
        if now >= self._ends:
            self._ends = self.budget.period(now)[1]
            self._spent, self._warned = 0.0, False
        return self._ends

    def _close(self, reserved: float, spent: float) -> None:
        with self._lock:
            self._turn()
            self._reserved = max(0.0, self._reserved - reserved)
            self._spent += spent
            share = self.budget.warn_at
            due = share is not None and self._spent >= share * self.budget.usd
            warn, self._warned = due and not self._warned, self._warned or due
            total = self._spent
        if warn:
            name, usd, per = self.budget.name, self.budget.usd, self.budget.per
            _log.warning("budget %s: $%.2f of $%.2f of this %s are spent", name, total, usd, per)


class Reservation:
    """Money set aside for one try; it is settled or given back, and only once."""

    __slots__ = ("_ledger", "dollars")

    def __init__(self, ledger: Ledger, dollars: float) -> None:
        self._ledger: Ledger | None = ledger
        self.dollars = dollars

    def settle(self, dollars: float) -> None:
        """Note what the try did cost."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger._close(self.dollars, dollars)

    def release(self) -> None:
        """Give all of it back: nothing was spent, or it has been settled."""
        self.settle(0.0)
