"""What models cost: by the table that litellm brings along, and beside what was agreed to.

No network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from pilotlight import events, notices
from pilotlight.catalog import models
from pilotlight.core.spending.price import MILLION, UNKNOWN, Price

# The columns that a `Price` has, in dollars a token.
_BY_THE_TOKEN: Final[Mapping[str, str]] = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
}


def price_in(row: Mapping[str, Any]) -> Price:
    """Return the price that a row of the table has; `UNKNOWN` where it has none."""
    tokens = {
        name: float(cost) * MILLION
        for name, column in _BY_THE_TOKEN.items()
        if isinstance(cost := row.get(column), int | float)
    }
    image = row.get("output_cost_per_image") or row.get("input_cost_per_image") or 0.0
    return Price(**tokens, image=float(image)) if tokens or image else UNKNOWN


class Listed:
    """Tells what the table says of litellm's `provider/model` just now.

    A program may add to the table, or put another row there; a row itself is read once.
    """

    __slots__ = ("_model", "_price", "_row")

    def __init__(self, model: str) -> None:
        self._model = model
        self._row: Mapping[str, Any] | None = None
        self._price = UNKNOWN

    def __call__(self) -> Price:
        """Return the price; the first time the table may have to be read."""
        row = models.row(self._model)
        if row and row is not self._row:
            self._row, self._price = row, price_in(row)
        return self._price if row else UNKNOWN


class Locked:
    """Tells a target's price, and says once when it is another than the one in `prices.lock`.

    The price in force is told, for that is what the vendor bills.
    """

    __slots__ = ("_agreed", "_model", "_name", "_price", "_seen")

    def __init__(self, name: str, model: str, price: Callable[[], Price], agreed: Price) -> None:
        self._name = name
        self._model = model
        self._price = price
        self._agreed = self._seen = agreed

    def __call__(self) -> Price:
        """Return the price in force."""
        price = self._price()
        if price is not self._seen:
            if price not in (self._seen, self._agreed):
                self._tell(price)
            self._seen = price
        return price

    def _tell(self, price: Price) -> None:
        changes = differences(self._agreed, price)
        notices.price_changed(self._name, self._model, changes)
        events.emit(
            events.PriceChanged(self._name, self._model, asdict(self._agreed), asdict(price))
        )


def differences(old: Price, new: Price) -> str:
    """Say how prices differ: `input $2.5 -> $5, output $10 -> $20`."""

    def told(value: float | None) -> str:
        return "unknown" if value is None else f"${value:g}"

    pairs = [(each.name, getattr(old, each.name), getattr(new, each.name)) for each in fields(old)]
    return ", ".join(f"{name} {told(was)} -> {told(is_)}" for name, was, is_ in pairs if was != is_)
