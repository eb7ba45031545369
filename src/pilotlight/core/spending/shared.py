"""A budget that processes share: each may spend what it has been lent of it, a slice at a time.

A slice is about what the process has used of late, so that its calls find money without asking
anybody.  It is lent for good: it ends when the process gives it back or has spent it.  So nothing
is spent twice, whatever becomes of a process, a store or a clock; what a killed process had left
of its slice counts as spent, as nobody can know what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pilotlight.core.breaker.turn import Turn
from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.ledger import TINY, Ledger, Reservation

PATIENCE: Final = 1.0  # seconds that a call waits for a slice at most; usually a few milliseconds
IDLE: Final = 60.0  # seconds without a call, after which the slice is given back at the latest
CALM: Final = 6  # exchanges in a row between which nothing was reserved, after which it is as well
AMPLE: Final = 2.0  # times what was used of late: the size of a slice
MOST_OWED: Final = 48  # periods that are over, while the store is away
UNSEEN: Final = 0.1  # of a budget is the share of a process that has never reached the store


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process says of a budget, and asks for, in one period; in US dollars.

    The period is told by its beginning and its end, in seconds since the epoch.  `spent` is all
    that this process has spent in it: said twice, it counts once.  `keeps` is lent to it already;
    its calls need `needs`, and it would like to have `wants`.
    """

    budget: str
    began: float
    ends: float
    usd: float
    spent: float
    keeps: float = 0.0
    needs: float = 0.0
    wants: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What came of a claim, in US dollars; `slice` is what the process may spend from there on.

    `spent` and `lent` are those of all the others, of whom so many `sharers` were there of late,
    this process among them.
    """

    slice: float
    spent: float
    lent: float
    sharers: int


class SharedLedger(Ledger):
    """One process's part in a budget.

    `wake` has the store asked, at once or within a second; False: nobody can ask it.
    """

    def __init__(
        self,
        budget: Budget,
        now: Callable[[], float],
        wake: Callable[[bool], bool],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = wake
        self._steady = steady
        super().__init__(budget, now)

    def forked(self) -> None:
        """In a child, which has no slice, and has spent nothing."""
        super().forked()
        self._spent = 0.0
        self._owed: list[Claim] = []  # what was spent in periods that are over, and not yet told
        self._waiting: list[tuple[Turn, float]] = []
        self._lost = False  # the store did not answer
        self._called = self._steady()
        self._begin_period()

    def _begin_period(self) -> None:
        self._granted = 0.0  # of what this process may have spent: what it has, and its slice
        self._used = self._recent = 0.0  # reserved since the last claim, and of late
        self._calm = 0  # claims since anything was
        self._heard: Grant | None = None
        self._share = UNSEEN * self.budget.usd  # as `_granted`, while the store is away
        self._set_limit()

    def _set_limit(self) -> None:
        alone = self._lost and self.budget.offline == "local share"
        self._limit = max(self._granted, self._share) if alone else self._granted

    def reserve(self, dollars: float) -> Reservation | None:
        """See `Ledger`."""
        reserved = super().reserve(dollars)
        if reserved is not None:
            self._used += dollars
            self._called = self._steady()
            if self._limit - self._spent - self._reserved < self._recent / 2:
                self._wake(True)  # before a call has to wait
        return reserved

    def _close(self, reserved: float, spent: float) -> None:
        super()._close(reserved, spent)
        self._wake(False)

    def turn(self, dollars: float) -> Turn | None:
        """See `Ledger`: the next slice, if as far as is known it may be large enough."""
        with self._lock:
            if self._lost or (self._heard is not None and dollars > self._left() + TINY):
                return None
            if not self._wake(True):
                self._lose()
                return None
            turn = Turn(PATIENCE)
            self._waiting.append((turn, dollars))
            return turn

    def _total(self) -> float:
        return self._spent + (self._heard.spent if self._heard is not None else 0.0)

    def _left(self) -> float:
        if self._lost:
            return self._limit - self._spent - self._reserved
        others = 0.0 if self._heard is None else self._heard.spent + self._heard.lent
        return self.budget.usd - others - self._spent - self._reserved

    def _lose(self) -> None:
        self._lost = True
        self._set_limit()

    def _renewed(self, spent: float) -> None:
        budget = self.budget
        owed = Claim(budget.name, self._began, self._ends, budget.usd, spent)
        self._owed = [*self._owed, owed][-MOST_OWED:]
        self._begin_period()

    # For who talks to the store; one thread.

    def claims(self) -> list[Claim]:
        """Return what there is to tell, and to ask for.

        What is to be given back is taken from the calls before it is told, never after.
        """
        with self._lock:
            self._turn_over()
            self._waiting = [each for each in self._waiting if not each[0].over]
            waiting = sum(dollars for _, dollars in self._waiting)
            self._calm = 0 if self._used or waiting else self._calm + 1
            self._recent, self._used = max(self._used, self._recent / 2), 0.0
            if self._idle or self._calm >= CALM:
                self._recent = 0.0
            needs = self._reserved + waiting
            wants = needs + AMPLE * self._recent
            keeps = max(self._reserved, self._granted - self._spent)
            if self._idle or keeps > AMPLE * wants:
                keeps = min(keeps, wants)
                self._granted = self._spent + keeps
                self._set_limit()
            name, usd, spent = self.budget.name, self.budget.usd, self._spent
            claim = Claim(name, self._began, self._ends, usd, spent, keeps, needs, wants)
            return [*self._owed, claim]

    def take(self, claims: list[Claim], grants: list[Grant]) -> None:
        """Take what came of `claims`, in their order."""
        with self._lock:
            self._lost = False
            self._owed = [each for each in self._owed if each not in claims]
            claim, grant = claims[-1], grants[-1]
            if claim.began == self._began:
                self._heard = grant
                self._granted = max(self._granted, claim.spent + grant.slice)
                left = claim.usd - grant.spent - grant.lent - claim.spent
                self._share = claim.spent + max(0.0, left) / max(1, grant.sharers)
            self._set_limit()
            self._settle_turns()

    def miss(self) -> None:
        """Note that the store could not be asked."""
        with self._lock:
            self._lose()
            self._settle_turns()

    def give_back(self) -> None:
        """Keep no more than calls in flight may need: this process makes no further ones."""
        with self._lock:
            self._called = -IDLE + self._steady()

    @property
    def lent(self) -> float:
        """US dollars that this process may spend without asking."""
        with self._lock:
            return max(0.0, self._granted - self._spent - self._reserved)

    @property
    def _idle(self) -> bool:
        return self._steady() - self._called >= IDLE

    def _settle_turns(self) -> None:
        waiting, self._waiting = self._waiting, []
        for turn, _ in waiting:
            turn.settle()
