"""What models cost by the table that litellm brings along; no network."""

from __future__ import annotations

from functools import lru_cache

from pilotlight.catalog.models import table
from pilotlight.core.spending.price import MILLION, UNKNOWN, Price

# The columns that a `Price` has, in dollars a token.
_BY_THE_TOKEN = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
}


@lru_cache(1024)
def listed(model: str) -> Price:
    """Return the price of litellm's `provider/model`; `UNKNOWN` where the table has none."""
    known = table()
    bare = model.partition("/")[2]
    row = known.get(model) or known.get(bare) or known.get(bare.removeprefix("responses/")) or {}
    tokens = {
        name: float(cost) * MILLION
        for name, column in _BY_THE_TOKEN.items()
        if isinstance(cost := row.get(column), int | float)
    }
    image = row.get("output_cost_per_image") or row.get("input_cost_per_image") or 0.0
    if not tokens and not image:
        return UNKNOWN
    return Price(**tokens, image=float(image))
