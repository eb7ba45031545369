"""A retry budget: retries are paid for by successes.

A blip is retried; an outage is not, for when nothing succeeds nothing is earned.
Source: Google SRE Book, "Handling Overload", per-client retry budgets.
"""

from __future__ import annotations

import threading

from pilotlight.core.fork import GATE

CEILING = 10.0  # retries in hand at most: a long quiet spell must not pay for a storm


class RetryBudget:
    """Tokens that successes earn and retries spend; shared by every call to a target."""

    __slots__ = ("__weakref__", "_lock", "_tokens", "ratio")

    def __init__(self, ratio: float = 0.2, start: float = 3.0) -> None:
        self.ratio = ratio
        self._tokens = min(start, CEILING)
        self.forked()
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: nobody holds the lock there."""
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Note a success."""
        if self._tokens < CEILING:  # unlocked on purpose: a full budget is the usual case
            with self._lock:
                self._tokens = min(CEILING, self._tokens + self.ratio)

    def spend(self) -> bool:
        """Pay for one retry, if there is something to pay with."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
