"""What tokens cost in US dollars, by the price map that litellm brings along; no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Prices(Protocol):
    """Tells what tokens of a model cost."""

    def __call__(self, model: str, prompt: int, completion: int) -> float | None:
        """Return US dollars; None where the price is not known, 0 for a model at home."""


class PriceMap:
    """litellm's map, read when first asked."""

    def __init__(self, table: Mapping[str, Any] | None = None) -> None:
        self._table = table

    def __call__(self, model: str, prompt: int, completion: int) -> float | None:
        """Return US dollars, or None; see `Prices`."""
        if is_local(model):
            return 0.0
        row = self.table.get(model) or self.table.get(model.partition("/")[2]) or {}
        ask, answer = row.get("input_cost_per_token"), row.get("output_cost_per_token")
        if ask is None or answer is None:
            return None
        return float(prompt * ask + completion * answer)

    @property
    def table(self) -> Mapping[str, Any]:
        """The map itself."""
        if self._table is None:
            from pilotlight.catalog.models import table

            self._table = table()
        return self._table


def is_local(model: str) -> bool:
    """Tell whether a model runs at home, as far as its name tells."""
    from pilotlight.providers.ollama.names import is_cloud_name

    return model.startswith("ollama") and not is_cloud_name(model)
