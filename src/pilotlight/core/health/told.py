"""What an endpoint has said of itself in its refusals, for as long as that is believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LONGEST_WAIT: Final = 3600.0  # seconds, as in `diagnosis/retry_after.py`; a function's word too
GRACE: Final = 0.001  # seconds: who has slept until then is not sent back for a rounding
WINDOW_HOLDS: Final = 3600.0  # seconds; a server may have been started anew with a longer context


@dataclass(slots=True)
class Told:
    """When it wants to be asked again, and how many tokens it takes.

    Moments are of one monotonic clock.  Each change is a single assignment, so that the
    calls of many threads share it without a lock: the last word holds.
    """

    _free_at: float = -math.inf
    _window: tuple[int, float] | None = None

    def wait(self, seconds: float, now: float) -> None:
        """It asked not to be called for so long; what is no positive number asks for nothing."""
        if seconds > 0:
            self._free_at = max(self._free_at, now + min(seconds, LONGEST_WAIT))

    def wait_left(self, now: float) -> float | None:
        """Return for how many seconds it still wants not to be called; None: it may be."""
        left = self._free_at - now
        return left if left > GRACE else None

    def limit(self, tokens: int, now: float) -> None:
        """It refused a prompt because its context has so many tokens."""
        self._window = (tokens, now + WINDOW_HOLDS)

    def has_read(self, tokens: int) -> None:
        """It has answered a prompt of so many tokens: a smaller limit is out of date."""
        if self._window is not None and tokens > self._window[0]:
            self._window = None

    def window(self, now: float) -> int | None:
        """Return its context in tokens by its own word; None: it has not said, or long ago."""
        told = self._window
        return told[0] if told is not None and now < told[1] else None
