"""What a store must be able to do for budgets: lend each process slices of them, and keep count.

Each process has a row in each period of a budget: what it has spent, and what it has been lent
besides.  What is left of the budget is what no row has.  A row is changed by its process alone,
in one atomic step that has seen all the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pilotlight.core.spending.shared import Claim, Grant

KEPT: Final = 2 * 86_400.0  # seconds for which a period is kept, once it is over and nobody asks
LATELY: Final = 60.0  # seconds for which a process counts as one that shares


class Accounts(Protocol):
    """A store.  Used by one thread at a time; raises what it likes when it is out of order."""

    def exchange(self, worker: str, number: int, claims: Sequence[Claim]) -> list[Grant]:
        """Take what a process claims, in one atomic step; return what it is granted, in order.

        `number` grows with each exchange of a worker: one that comes late changes no slice.
        """

    def close(self) -> None:
        """Let go of the store."""


@dataclass(frozen=True, slots=True)
class Row:
    """One process in one period; `seen` is when, by the store's clock."""

    number: int
    spent: float
    lent: float
    seen: float


def settled(
    rows: Mapping[str, Row], worker: str, number: int, claim: Claim, now: float
) -> tuple[Row, Grant]:
    """Return the new row of a worker, and what it is told; `rows` are all of that period.

    A slice that a process has already can't be refused to it.  What its calls need is lent as far
    as it is there, and what it would like besides, up to half of it: the others have calls too.
    """
    mine = rows.get(worker, Row(0, 0.0, 0.0, now))
    others = [row for name, row in rows.items() if name != worker]
    spent_elsewhere = math.fsum(row.spent for row in others)
    lent_elsewhere = math.fsum(row.lent for row in others)
    spent = max(mine.spent, claim.spent)
    if number > mine.number:
        left = claim.usd - spent_elsewhere - lent_elsewhere - spent
        lent = max(claim.keeps, min(claim.needs, left), min(claim.wants, left / 2))
    else:
        lent = mine.lent
    sharers = 1 + sum(now - row.seen < LATELY for row in others)
    row = Row(max(number, mine.number), spent, lent, now)
    return row, Grant(lent, spent_elsewhere, lent_elsewhere, sharers)


def sane(number: object, *amounts: object) -> Row | None:
    """Return a row of what stands in a store, whoever wrote it; None: it is none of ours."""
    floats = [each for each in amounts if isinstance(each, float) and 0 <= each < math.inf]
    return Row(number, *floats) if isinstance(number, int) and len(floats) == 3 else None


class MemoryAccounts:
    """Accounts within one process: for tests and simulations; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, float], dict[str, Row]] = {}

    def exchange(self, worker: str, number: int, claims: Sequence[Claim]) -> list[Grant]:
        """See `Accounts`."""
        grants = []
        with self._lock:
            for claim in claims:
                rows = self._rows.setdefault((claim.budget, claim.began), {})
                rows[worker], grant = settled(rows, worker, number, claim, self._clock())
                grants.append(grant)
        return grants

    def close(self) -> None:
        """See `Accounts`."""
