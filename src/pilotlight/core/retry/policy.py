"""How long to wait before asking the same target again.

Exponential with full jitter: uniform between nothing and the cap, which spreads
the callers best.  Source: M. Brooker, "Exponential Backoff And Jitter", AWS
Architecture Blog, 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries at one target within one call; times in seconds.

    `attempts` caps the fault table's own number of retries (0: never retry).
    `budget` is the share of successes that may be spent on retries, `reserve`
    what is in hand at the start.  While another target could answer, only an attempt
    that took less than `only_under`, and less than a tenth of the call's time left, is
    made again: a blip fails fast, and a slow failure would be as slow again.
    """

    attempts: int = 1
    base: float = 0.2
    cap: float = 2.0
    budget: float = 0.2
    reserve: float = 3.0
    only_under: float = 1.0


def delay(policy: RetryPolicy, number: int, random: Callable[[], float]) -> float:
    """Return the pause before retry `number` (0 for the first); `random` gives 0..1."""
    ceiling = min(policy.cap, policy.base * 2.0 ** min(number, 32))
    return ceiling * random()
