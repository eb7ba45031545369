"""The last few seconds of a target's calls, counted in slices."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SLICES = 10  # a tenth of the window is forgotten at a time


@dataclass(slots=True)
class _Slice:
    number: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


class Window:
    """Calls, failures and slow calls of the last `seconds`.

    Not locked: the breaker's lock is held by whoever calls it.
    """

    __slots__ = ("_row", "_slice", "_slices", "calls", "failures", "seconds", "slow")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._slice = seconds / SLICES
        self._slices: deque[_Slice] = deque()
        self.calls = 0
        self.failures = 0
        self.slow = 0
        self._row = 0  # failures since the last success, however long ago

    def add(self, now: float, *, failed: bool = False, slow: bool = False) -> None:
        """Count one finished call."""
        self.forget(now)
        number = int(now // self._slice)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        last = self._slices[-1]
        last.calls += 1
        last.failures += failed
        last.slow += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow
        self._row = self._row + 1 if failed else 0

    @property
    def in_a_row(self) -> int:
        """The window's last calls that have all failed."""
        return min(self._row, self.failures)

    def recount(self) -> None:
        """Make the totals those of the slices, where counting may have been cut short."""
        self.calls = sum(each.calls for each in self._slices)
        self.failures = sum(each.failures for each in self._slices)
        self.slow = sum(each.slow for each in self._slices)

    def forget(self, now: float) -> None:
        """Drop what is older than the window; the totals are then those of the window."""
        oldest = int(now // self._slice) - SLICES
        while self._slices and self._slices[0].number <= oldest:
            gone = self._slices.popleft()
            self.calls -= gone.calls
            self.failures -= gone.failures
            self.slow -= gone.slow
