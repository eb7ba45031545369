"""What tokens cost in US dollars, by the price map that litellm brings along; no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pilotlight.core.provider import Facts


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
        from pilotlight.catalog.models import row
        from pilotlight.catalog.prices import price_in

        price = price_in(row(model, self._table))
        if price.input is None or price.output is None:
            return None
        return price.cost(Facts(prompt_tokens=prompt, completion_tokens=completion))


def is_local(model: str) -> bool:
    """Tell whether a model runs at home, as far as its name tells."""
    from pilotlight.providers.ollama.names import is_cloud_name

    return model.startswith("ollama") and not is_cloud_name(model)
