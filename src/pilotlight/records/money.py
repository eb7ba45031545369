"""What the calls of a log have cost, by day and by target, and what failover saved of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pilotlight.core.provider import Facts
from pilotlight.core.spending.price import FREE, Price
from pilotlight.records.prices import is_local
from pilotlight.records.summary import served
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt

Book = Callable[[str, str], Price]
"""Returns the price of a target and its model."""


@dataclass(slots=True)
class Tokens:
    """What answers took, summed up: a price is linear in it."""

    answers: int = 0
    seconds: float = 0.0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def add(self, record: AttemptRecord) -> None:
        """Take an answer in whose tokens are known."""
        self.answers += 1
        self.seconds += record.duration
        self.prompt += record.prompt_tokens or 0
        self.completion += record.completion_tokens or 0
        self.cached += record.cached_tokens or 0
        self.written += record.written_tokens or 0
        self.reasoning += record.reasoning_tokens or 0

    def cost(self, price: Price) -> float | None:
        """Return US dollars; None where the price is not known."""
        facts = Facts(
            prompt_tokens=self.prompt,
            completion_tokens=self.completion,
            cached_tokens=self.cached,
            written_tokens=self.written,
            reasoning_tokens=self.reasoning,
        )
        dollars = price.cost(facts, self.seconds)
        return None if dollars is None else dollars + price.per_call * (self.answers - 1)


def reckoned(record: AttemptRecord, price: Price) -> float | None:
    """Return what an attempt costs at a price; None where that, or its tokens, are not known.

    An attempt without an answer, or whose tokens nobody has told, is left at what it cost then.
    """
    if record.fault is not None or record.prompt_tokens is None:
        return record.cost
    tokens = Tokens()
    tokens.add(record)
    return tokens.cost(price)


@dataclass(slots=True)
class TargetMoney:
    """One target: its attempts, what they cost in US dollars, and how many have no known cost."""

    model: str = ""
    attempts: int = 0
    cost: float = 0.0
    unknown: int = 0


@dataclass(slots=True)
class RouteMoney:
    """One route: the tokens of all its answers, and of those that another target gave.

    `answers_cost` and `moved_cost` are what those calls did cost in US dollars.
    """

    first: Counter[str] = field(default_factory=Counter)  # who answered as the first target
    answers: Tokens = field(default_factory=Tokens)
    answers_cost: float = 0.0
    moved: Tokens = field(default_factory=Tokens)
    moved_cost: float = 0.0


@dataclass(slots=True)
class Money:
    """Everything that is told of a log's cost.  `routes` names the targets of each, in order.

    With `again`, attempts cost what they would by the `book` now, and not what they did cost.
    """

    book: Book
    routes_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    again: bool = False
    calls: int = 0
    unknown: int = 0  # calls of which some attempt has no known cost
    days: dict[str, dict[str, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )
    targets: dict[str, TargetMoney] = field(default_factory=lambda: defaultdict(TargetMoney))
    routes: dict[str, RouteMoney] = field(default_factory=lambda: defaultdict(RouteMoney))

    @property
    def cost(self) -> float:
        """US dollars, as far as they are known."""
        return sum(each.cost for each in self.targets.values())

    def add_all(self, receipts: Iterable[Receipt]) -> Money:
        """Take them all in."""
        for each in receipts:
            self.add(each)
        return self

    def add(self, receipt: Receipt) -> None:
        """Take one receipt in."""
        self.calls += 1
        day = _day(receipt.started_at)
        total, known = 0.0, True
        for each in receipt.attempts:
            cost = self.cost_of(each)
            sums = self.targets[each.target]
            sums.model = each.model
            sums.attempts += 1
            sums.unknown += cost is None
            sums.cost += cost or 0.0
            if cost and day:
                self.days[day][each.target] += cost
            total, known = total + (cost or 0.0), known and cost is not None
        self.unknown += not known
        answer = served(receipt)
        if answer is None:
            return
        route = self.routes[receipt.route]
        route.first[answer.target] += not receipt.failed_over
        if known and answer.prompt_tokens is not None:
            route.answers.add(answer)
            route.answers_cost += total
            if receipt.failed_over:
                route.moved.add(answer)
                route.moved_cost += total

    def cost_of(self, record: AttemptRecord) -> float | None:
        """Return what an attempt cost, or would cost now."""
        if self.again:
            return reckoned(record, self.book(record.target, record.model))
        if record.cost is None:  # written before costs were kept
            return reckoned(record, self.book(record.target, record.model))
        return record.cost

    def first_always(self, name: str) -> float | None:
        """Return what the first target alone would have cost for what others answered; US dollars.

        By the tokens that those others counted; None where that target or its price is not known.
        """
        route = self.routes[name]
        if not route.moved.answers:
            return 0.0
        target = self._first(name)
        return None if target is None else route.moved.cost(self._price(target))

    def local_always(self, name: str) -> float | None:
        """Return what the route's own local model would have cost for all its answers.

        None where it has none, or its price is not known.
        """
        named = [*self.routes_of.get(name, ()), *self.targets]
        local = next((each for each in named if is_local(self.targets[each].model)), None)
        return None if local is None else self.routes[name].answers.cost(self._price(local))

    def _first(self, name: str) -> str | None:
        if configured := self.routes_of.get(name):
            return configured[0]
        return next((target for target, n in self.routes[name].first.most_common(1) if n), None)

    def _price(self, target: str) -> Price:
        return self.book(target, self.targets[target].model if target in self.targets else "")

    def to_dict(self) -> dict[str, object]:
        """Return plain data, ready for JSON; money in US dollars."""
        return {
            "calls": self.calls,
            "cost": self.cost,
            "unknown": self.unknown,
            "targets": {
                name: {
                    "model": each.model,
                    "attempts": each.attempts,
                    "cost": each.cost,
                    "unknown": each.unknown,
                }
                for name, each in self.targets.items()
            },
            "days": {day: dict(costs) for day, costs in sorted(self.days.items())},
            "routes": {name: self._route(name) for name in self.routes},
        }

    def _route(self, name: str) -> dict[str, object]:
        route = self.routes[name]
        return {
            "answers": route.answers.answers,
            "cost": route.answers_cost,
            "answered_by_others": route.moved.answers,
            "cost_of_those": route.moved_cost,
            "first_target_alone": self.first_always(name),
            "local_alone": self.local_always(name),
        }


def _day(moment: float) -> str:
    """Return the local day of a moment; empty: no calendar has it, whoever wrote it."""
    try:
        return datetime.fromtimestamp(moment).astimezone().date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""


def by_table(target: str, model: str) -> Price:
    """Return the price of a model by litellm's table; of one at home, nothing.  A `Book`."""
    if is_local(model):
        return FREE
    from pilotlight.catalog.models import row
    from pilotlight.catalog.prices import price_in

    return price_in(row(model))


def in_words(money: Money) -> Iterator[str]:
    """Yield what failover saved or cost, route by route, in whole sentences."""
    from pilotlight.records.words import money as dollars

    for name, route in money.routes.items():
        if route.moved.answers:
            first = money.first_always(name)
            told = f"{name}: others answered {route.moved.answers:,} calls for "
            told += f"{dollars(route.moved_cost)}; "
            if first is None:
                yield told + "what the first target would have cost is not known"
            else:
                saved = first - route.moved_cost
                verb = "saved" if saved >= 0 else "cost"
                more = "" if saved >= 0 else " more"
                yield told + (
                    f"the first target alone {dollars(first)}: failover {verb} "
                    f"{dollars(abs(saved))}{more}"
                )
        local = money.local_always(name)
        if local is not None and route.answers.answers:
            yield (
                f"{name}: all its answers cost {dollars(route.answers_cost)}, "
                f"the local model alone {dollars(local)}"
            )
