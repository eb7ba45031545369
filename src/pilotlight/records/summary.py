"""What a log tells of each route and target, reckoned in one pass and in bounded memory."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pilotlight.records.prices import Prices
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt

ANSWERED: Final = ("primary", "failover")
UNANSWERED: Final = ("exhausted", "interrupted")  # all others were ended by their caller
NOBODY: Final = "nobody"
STEP: Final = 1.1  # of the spread's classes: a percentile is right within 5%
SLICES: Final = 180  # of the timeline, at most
WIDTHS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)  # seconds


def served(receipt: Receipt) -> AttemptRecord | None:
    """Return the attempt that answered."""
    if receipt.outcome not in ANSWERED or not receipt.attempts:
        return None
    return receipt.attempts[-1]


def time_lost(receipt: Receipt) -> float:
    """Seconds that a call spent on something else than the attempt that answered.

    All of it, where nobody answered; of a call that its caller ended, the failed attempts.
    """
    if (answer := served(receipt)) is not None:
        return max(0.0, receipt.duration - answer.duration)
    if receipt.outcome in UNANSWERED:
        return receipt.duration
    return sum(each.duration for each in receipt.attempts)


def reasons(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """Yield each target that did not answer, and why: its last fault, or its skip's reason."""
    found = {each.target: each.reason for each in receipt.skipped}
    found |= {each.target: str(each.fault) for each in receipt.attempts if each.fault is not None}
    found.pop(receipt.served_by or "", None)
    yield from found.items()


class Spread:
    """How long something took, in classes that each are a tenth wider than the last."""

    def __init__(self) -> None:
        self.classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Note one duration."""
        self.classes[math.floor(math.log(max(seconds, 1e-4), STEP))] += 1

    def quantile(self, share: float) -> float | None:
        """Return the seconds that this share took at most, within 5%; None: nothing noted."""
        wanted, seen = share * self.classes.total(), 0
        for number in sorted(self.classes):
            seen += self.classes[number]
            if seen >= wanted:
                return float(STEP ** (number + 0.5))
        return None


class Timeline:
    """Who served, and the time lost, in slices that widen as the log grows."""

    def __init__(self) -> None:
        self.width = WIDTHS[0]  # seconds
        self.served: dict[int, Counter[str]] = defaultdict(Counter)
        self.lost: dict[int, float] = defaultdict(float)

    def add(self, at: float, who: str, lost: float) -> None:
        """Note a call that ended at a moment."""
        number = int(at // self.width)
        while number not in self.served:
            known = (number, *self.served)
            if max(known) - min(known) < SLICES:
                break
            self._widen()
            number = int(at // self.width)
        self.served[number][who] += 1
        self.lost[number] += lost

    def _widen(self) -> None:
        """Take slices together; each width is a multiple of the one before."""
        before = self.width
        self.width = next((width for width in WIDTHS if width > before), 2 * before)
        served, lost = self.served, self.lost
        self.served, self.lost = defaultdict(Counter), defaultdict(float)
        for number, counts in served.items():
            wider = number * before // self.width
            self.served[wider].update(counts)
            self.lost[wider] += lost[number]


@dataclass(slots=True)
class TargetSums:
    """One target, over all routes; `cost` in US dollars."""

    model: str = ""
    served: int = 0
    failed: int = 0
    cost: float = 0.0
    unpriced: int = 0  # answers without a known price or without known tokens
    spread: Spread = field(default_factory=Spread)


@dataclass(slots=True)
class RouteSums:
    """One route; times in seconds, money in US dollars.

    `why` counts the reasons for which a target did not answer a call.  `moved` holds the
    tokens that another than the first target was asked for, and what they did cost.
    """

    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    time_lost: float = 0.0
    spread: Spread = field(default_factory=Spread)
    cost: float = 0.0
    unpriced: int = 0
    moved: list[float] = field(default_factory=lambda: [0, 0, 0.0])

    @property
    def answered(self) -> int:
        """Calls with an answer."""
        return sum(self.outcomes[each] for each in ANSWERED)

    @property
    def unanswered(self) -> int:
        """Calls that nobody answered, or whose answer broke off."""
        return sum(self.outcomes[each] for each in UNANSWERED)

    @property
    def availability(self) -> float | None:
        """Answered calls among those that their callers waited for."""
        counted = self.answered + self.unanswered
        return self.answered / counted if counted else None


@dataclass(slots=True)
class Summary:
    """Everything that is told of a log."""

    prices: Prices
    routes: dict[str, RouteSums] = field(default_factory=lambda: defaultdict(RouteSums))
    targets: dict[str, TargetSums] = field(default_factory=lambda: defaultdict(TargetSums))
    timeline: Timeline = field(default_factory=Timeline)
    began: float | None = None
    ended: float = 0.0

    def add(self, receipt: Receipt) -> None:
        """Take one receipt in."""
        lost = time_lost(receipt)
        at = receipt.started_at + receipt.duration
        self.began = min(receipt.started_at, at if self.began is None else self.began)
        self.ended = max(self.ended, at)
        route = self.routes[receipt.route]
        route.calls += 1
        route.outcomes[receipt.outcome] += 1
        route.time_lost += lost
        for _, reason in reasons(receipt):
            route.why[reason] += 1
        for each in receipt.attempts:
            target = self.targets[each.target]
            target.model = each.model
            target.failed += each.fault is not None
        answer = served(receipt)
        if answer is not None:
            self._serve(route, receipt, answer)
        if answer is not None or receipt.outcome in UNANSWERED:
            self.timeline.add(at, answer.target if answer else NOBODY, lost)

    def _serve(self, route: RouteSums, receipt: Receipt, answer: AttemptRecord) -> None:
        target = self.targets[answer.target]
        target.served += 1
        target.spread.add(answer.duration)
        route.served_by[answer.target] += 1
        route.spread.add(receipt.duration)
        if receipt.outcome == "primary":
            route.first[answer.target] += 1
        tokens = answer.prompt_tokens, answer.completion_tokens
        cost = answer.cost
        if cost is None and None not in tokens:  # of a receipt that was written without it
            cost = self.prices(answer.model, tokens[0] or 0, tokens[1] or 0)
        for sums in (target, route):
            sums.cost += cost or 0.0
            sums.unpriced += cost is None
        if cost is not None and receipt.failed_over:
            for position, amount in enumerate((*tokens, cost)):
                route.moved[position] += amount or 0

    def add_all(self, receipts: Iterable[Receipt]) -> Summary:
        """Take them all in."""
        for each in receipts:
            self.add(each)
        return self

    def saved(self, name: str) -> float | None:
        """What a route's first target would have cost more for what others answered.

        By the tokens that were counted by those others; None where the first target or its
        price is not known.  Negative where the others cost more.
        """
        route = self.routes[name]
        prompt, completion, cost = route.moved
        if not route.outcomes["failover"]:
            return 0.0
        first = next((target for target, _ in route.first.most_common(1)), None)
        if first is None:
            return None
        price = self.prices(self.targets[first].model, int(prompt), int(completion))
        return None if price is None else price - cost

    def to_dict(self) -> dict[str, object]:
        """Return plain data, ready for JSON."""
        return {
            "began": self.began,
            "ended": self.ended,
            "routes": {name: self._route(name, each) for name, each in self.routes.items()},
            "targets": {name: _target(each) for name, each in self.targets.items()},
        }

    def _route(self, name: str, route: RouteSums) -> dict[str, object]:
        return {
            "calls": route.calls,
            "answered": route.answered,
            "availability": route.availability,
            "outcomes": dict(route.outcomes),
            "served_by": dict(route.served_by.most_common()),
            "why": dict(route.why.most_common()),
            "time_lost": route.time_lost,
            "p50": route.spread.quantile(0.5),
            "p95": route.spread.quantile(0.95),
            "cost": route.cost,
            "saved": self.saved(name),
            "unpriced": route.unpriced,
        }


def _target(target: TargetSums) -> dict[str, object]:
    return {
        "model": target.model,
        "served": target.served,
        "failed": target.failed,
        "cost": target.cost,
        "unpriced": target.unpriced,
        "p50": target.spread.quantile(0.5),
        "p95": target.spread.quantile(0.95),
    }
