"""The tables of money: `targets.NAME.price`, and `[budgets.NAME]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from pilotlight.config.messages import nearest
from pilotlight.config.values import Rate, Table
from pilotlight.core.spending.budget import Budget, Per
from pilotlight.core.spending.price import Price, PriceCap


def _money(value: Any) -> Any:
    """Refuse `true` where dollars are wanted: Python would take it for 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number of US dollars")  # noqa: TRY004 - pydantic's
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "no such time zone; it is named as in `Europe/Berlin` (on Windows: pip install tzdata)"
        ) from None
    return name


Dollars = Annotated[float, BeforeValidator(_money), Field(ge=0, le=1e9)]
Unknown = Annotated[Literal["refuse", "ignore"] | Dollars, Field(union_mode="left_to_right")]


class PriceTable(Table):
    """What one target's calls cost, in US dollars."""

    input: Dollars | None = Field(
        default=None, description="for a million tokens of the prompt; not set: not known"
    )
    output: Dollars | None = Field(
        default=None, description="for a million tokens of the answer; not set: not known"
    )
    cached_input: Dollars | None = Field(
        default=None,
        description="for a million tokens of the prompt that a cache had; not set: as `input`",
    )
    cache_write: Dollars | None = Field(
        default=None,
        description="for a million tokens of the prompt that were put into a cache; "
        "not set: as `input`",
    )
    reasoning: Dollars | None = Field(
        default=None, description="for a million tokens of thinking; not set: as `output`"
    )
    audio_input: Dollars | None = Field(
        default=None, description="for a million tokens of sound in the prompt; not set: as `input`"
    )
    audio_output: Dollars | None = Field(
        default=None, description="for a million tokens of sound made; not set: as `output`"
    )
    image: Dollars = Field(default=0.0, description="for an image that is made")
    per_call: Dollars = Field(default=0.0, description="for a call, besides its tokens")
    per_hour: Dollars = Field(
        default=0.0, description="for an hour in which it answers, such as of a rented GPU"
    )

    def price(self, *, local: bool) -> Price:
        """Return it for the core; the tokens of a local model are free unless they have a price."""
        made = self.model_dump()
        if local:
            made = {**made, "input": self.input or 0.0, "output": self.output or 0.0}
        return Price(**made)


class MaxPriceTable(Table):
    """The most that one target's calls may cost, in US dollars."""

    input: Dollars | None = Field(
        default=None, description="for a million tokens of the prompt; not set: any"
    )
    output: Dollars | None = Field(
        default=None, description="for a million tokens of the answer; not set: any"
    )
    image: Dollars | None = Field(default=None, description="for an image; not set: any")
    per_call: Dollars | None = Field(default=None, description="for a call; not set: any")
    per_hour: Dollars | None = Field(default=None, description="for an hour; not set: any")

    def cap(self) -> PriceCap:
        """Return it for the core."""
        return PriceCap(**self.model_dump())


class BudgetTable(Table):
    """What some calls may cost together in a span of the calendar."""

    usd: Annotated[float, BeforeValidator(_money), Field(gt=0, le=1e9)] = Field(
        description="US dollars in each `per`"
    )
    per: Per = Field(description="the span for which the money is, by the calendar")
    zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="the time zone in which days and months begin"
    )
    routes: tuple[str, ...] = Field(
        default=(), description="the routes whose calls it holds for; empty: all"
    )
    targets: tuple[str, ...] = Field(
        default=(), description="the targets whose calls it holds for; empty: all that cost"
    )
    keys: tuple[str, ...] = Field(
        default=(),
        description="the keys of the gateway with which calls must come for it to hold; empty: any",
    )
    tags: dict[str, str] = Field(
        default={}, description="the tags that a call must have for it to hold; empty: none"
    )
    then: Literal["skip", "refuse"] = Field(
        default="skip",
        description="what becomes of a call that it has no money for: its target is skipped, so "
        "that the next one answers, or the call ends in `BudgetSpent`",
    )
    unknown: Unknown = Field(
        description="what becomes of a target whose price is not known: `refuse` treats it as if "
        "the budget were spent, `ignore` does not count it, a number counts each call as so many "
        "dollars"
    )
    warn_at: Rate | None = Field(
        default=None,
        description="the share of `usd` at which a warning is logged, once a span; not set: none",
    )
    offline: Literal["local share", "refuse"] = Field(
        default="local share",
        description="what a process may spend while `state` can't be reached, once its slice is "
        "gone: its share of what was left, or nothing",
    )

    def budget(self, name: str) -> Budget:
        """Return it for the core."""
        return Budget(
            name,
            self.usd,
            self.per,
            ZoneInfo(self.zone),
            frozenset(self.routes),
            frozenset(self.targets),
            frozenset(self.keys),
            self.tags,
            self.then,
            self.unknown,
            self.warn_at,
            self.offline,
        )


def bad_budgets(
    budgets: Mapping[str, BudgetTable], routes: Collection[str], targets: Collection[str]
) -> Iterable[str]:
    """Yield each name of a route or a target that is none, as a line with its mend."""
    for name, budget in budgets.items():
        for key, given, known in (
            ("routes", budget.routes, routes),
            ("targets", budget.targets, targets),
        ):
            for each in given:
                if each not in known:
                    kind = key.removesuffix("s")
                    mend = nearest(each, known) or f"add a table [{key}.{each}]"
                    yield f"budgets.{name}.{key}: no {kind} is named {each!r}; {mend}"
