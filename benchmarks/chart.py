"""A figure beside its base and its peers, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Kind = Literal["ours", "base", "peer"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One contestant's median and the spread of its rounds, in the chart's unit."""

    name: str
    value: float
    kind: Kind = "peer"
    low: float | None = None
    high: float | None = None
    note: str = ""  # said in place of the value, such as `> 95 s`


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with one scale; `limit` is the target's line, and `more` says that more is better."""

    title: str
    unit: str
    bars: Sequence[Bar]
    limit: float | None = None
    more: bool = False
    ranked: bool = True  # False: the bars stand in their own order

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def chart_of(data: Mapping[str, Any]) -> Chart:
    """Read back what `as_json` wrote."""
    return Chart(**{**data, "bars": [Bar(**bar) for bar in data["bars"]]})


def bar(name: str, rounds: Sequence[float], kind: Kind, scale: float = 1e3) -> Bar:
    """Return the bar of some rounds, in milliseconds unless told otherwise."""
    scaled = sorted(each * scale for each in rounds)
    quarter = len(scaled) // 4
    return Bar(name, median(scaled), kind, scaled[quarter], scaled[-1 - quarter])
