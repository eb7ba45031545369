"""The numbers of one side of a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilotlight.records.summary import UNANSWERED, time_lost
from pilotlight.vocabulary.faults import RULES, Effect
from pilotlight.vocabulary.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Side:
    """What a policy made of the calls; times in seconds.

    `answered` and `unanswered` leave out the calls that their caller ended, or got wrong.
    `on_dead_primary` counts the attempts at a route's first target that failed by its own
    fault.  `median` and `p95` are of whole calls that were answered.
    """

    calls: int
    answered: int
    unanswered: int
    by_first: int
    by_others: int
    on_dead_primary: int
    failed_attempts: int
    time_lost: float
    median: float | None
    p95: float | None

    @property
    def availability(self) -> float | None:
        """The share of answered calls; None where there were none to answer."""
        counted = self.answered + self.unanswered
        return self.answered / counted if counted else None


def tally(receipts: Sequence[Receipt], first: Mapping[str, str]) -> Side:
    """Reckon one side; `first` names each route's first target."""
    served = [each for each in receipts if each.outcome in ("primary", "failover")]
    failed = [
        (receipt.route, each)
        for receipt in receipts
        for each in receipt.attempts
        if each.fault is not None and RULES[each.fault].breaker is not Effect.IGNORES
    ]
    by_first = sum(each.served_by == first[each.route] for each in served)
    took = sorted(each.duration for each in served)
    return Side(
        calls=len(receipts),
        answered=len(served),
        unanswered=sum(each.outcome in UNANSWERED for each in receipts),
        by_first=by_first,
        by_others=len(served) - by_first,
        on_dead_primary=sum(each.target == first[route] for route, each in failed),
        failed_attempts=len(failed),
        time_lost=sum(map(time_lost, receipts)),
        median=_rank(took, 0.5),
        p95=_rank(took, 0.95),
    )


def _rank(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that this share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None
