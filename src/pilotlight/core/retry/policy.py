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

    `max_retries` is how often one target is asked again, after faults that may be retried at
    all (0: never).  The pauses are random below `wait_initial`, doubled for each further one
    up to `wait_max`.  `budget_ratio` is the share of successes that may be spent on retries,
    `budget_reserve` what is in hand at the start.  While another target could answer, only an
    attempt that took less than `only_under`, and less than a tenth of the call's time left, is
    made again: a blip fails fast, and a slow failure would be as slow again.
    """

    max_retries: int = 1
    wait_initial: float = 0.2
    wait_max: float = 2.0
    budget_ratio: float = 0.2
    budget_reserve: float = 3.0
    only_under: float = 1.0


def delay(policy: RetryPolicy, number: int, random: Callable[[], float]) -> float:
    """Return the pause before retry `number` (0 for the first); `random` gives 0..1."""
    ceiling = min(policy.wait_max, policy.wait_initial * 2.0 ** min(number, 32))
    return ceiling * random()
