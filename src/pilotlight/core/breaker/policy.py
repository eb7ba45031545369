"""The numbers of a circuit breaker, and the reasons for which calls open it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEAR: Final = 16.0  # a trial may take its callers one second in so many
JITTER: Final = 1 / 12  # of a break
HEALTH_CHECK: Final = "health_check"
CALLS_FAILED: Final = frozenset(
    {"failure_rate", "consecutive_failures", "slow_call_rate", "trial_failed"}
)
"""Breaks after calls that failed: another call may find that it is over."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and for how long; times in seconds, rates from 0 to 1.

    It opens when such a share of the window's calls has failed, of `minimum_calls` at least, or
    when the window's last `consecutive_failures` have, whatever their share: a busy window is
    full of successes that say nothing of the provider now.  At a failure rate of 30 % one call
    in 400 sees five in a row by chance.  Source of the five: Envoy's `consecutive_5xx`.
    `slow_call_duration` is the duration from which a success counts as slow (None: never).
    `suspicion`: between two failures and the break it takes no more calls than could still
    open it, if others can answer (`core/breaker/suspicion.py`).
    A break follows what finding out has cost: `reset_timeout` after a failure that came fast,
    `DEAR` times its cost after one that made its caller wait, doubled for each such in a row,
    up to `max_reset_timeout`.  Up to a twelfth of it is left off at random, so that many
    processes do not try at one moment.  A slow trial is a failed one.
    """

    failure_rate: float = 0.5
    minimum_calls: int = 5
    window: float = 30.0
    reset_timeout: float = 16.0
    max_reset_timeout: float = 60.0
    trial_calls: int = 1
    slow_call_duration: float | None = None
    slow_call_rate: float = 0.8
    consecutive_failures: int = 5
    suspicion: bool = True

    def slow(self, duration: float) -> bool:
        """Tell whether a success that took so many seconds counts as slow."""
        return self.slow_call_duration is not None and duration >= self.slow_call_duration
