"""Too many requests: clears by waiting, and says how long where the provider says it."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Refusal


@dataclass(frozen=True, kw_only=True)
class RateLimit(Refusal):
    kind = "rate_limit"
    about = "429 that clears by waiting"

    retry_after: float | None = 20.0  # seconds; None: say nothing
