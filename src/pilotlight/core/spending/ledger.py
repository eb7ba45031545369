"""What has been spent of a budget: by this process alone, or by all that share it.

A call reserves what it may cost before its target is asked, and settles what it did cost, so that
calls in flight can't spend the same money twice.  Nothing here waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pilotlight.core.breaker.turn import Turn
from pilotlight.core.fork import GATE
from pilotlight.core.spending.budget import Budget
from pilotlight.plain import logger

TINY: Final = 1e-9  # dollars: sums of fractions are not exact

_log = logger("pilotlight")


class Ledger:
    """What has been spent of one budget, and what is reserved; threads share it."""

    def __init__(self, budget: Budget, now: Callable[[], float]) -> None:
        """`now` returns the time of day, in seconds since the epoch."""
        self.budget = budget
        self._now = now
        self._began, self._ends = budget.period(now())
        self._limit = budget.usd  # of what this process may have spent and reserved
        self._spent = 0.0  # by this process, in this period
        self._warned = False
        self.forked()
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: nobody holds the lock there, and what is reserved is the parent's."""
        self._lock = threading.Lock()
        self._reserved = 0.0

    def carry_on(self, other: Ledger) -> None:
        """Begin with what another has counted of this period, its calls in flight included."""
        if other._began == self._began:
            self._spent = other.spent + other.reserved

    @property
    def spent(self) -> float:
        """US dollars in this period, without what is reserved."""
        with self._lock:
            self._turn_over()
            return self._total()

    @property
    def reserved(self) -> float:
        """US dollars that calls in flight may still spend."""
        return self._reserved

    @property
    def renews_in(self) -> float:
        """Seconds until the next period."""
        with self._lock:
            return max(0.0, self._turn_over() - self._now())

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left, however little a call may cost."""
        if self._left() > TINY:  # nor does the next period take anything away
            return False
        with self._lock:
            self._turn_over()
            return self._left() <= TINY

    def reserve(self, dollars: float) -> Reservation | None:
        """Set so much aside for a call; None if there is not so much left."""
        with self._lock:
            if self._now() >= self._ends:
                self._turn_over()
            if self._spent + self._reserved + dollars > self._limit + TINY:
                return None
            self._reserved += dollars
        return Reservation(self, dollars)

    def turn(self, dollars: float) -> Turn | None:
        """Return what a call may wait for that needs so much; None: there is no more to be had."""
        return None

    # What is another where processes share a budget; the lock is held.

    def _total(self) -> float:
        return self._spent

    def _left(self) -> float:
        return self.budget.usd - self._spent - self._reserved

    def _renewed(self, spent: float) -> None:
        """Note that a period has begun, and what was spent here in the one before."""

    def _turn_over(self) -> float:
        """Begin the next period if this one is over, and return when it ends.

        Once begun, a period is not left for an earlier one: a clock that was set back gives
        nobody the same money again.
        """
        now = self._now()
        if now >= self._ends:
            spent, self._spent, self._warned = self._spent, 0.0, False
            self._renewed(spent)
            self._began, self._ends = self.budget.period(now)
        return self._ends

    def _close(self, reserved: float, spent: float) -> None:
        with self._lock:
            if self._now() >= self._ends:
                self._turn_over()
            self._reserved = max(0.0, self._reserved - reserved)
            self._spent += spent
            if (share := self.budget.warn_at) is None or self._warned:
                return
            total = self._total()
            self._warned = total >= share * self.budget.usd
        if self._warned:
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
