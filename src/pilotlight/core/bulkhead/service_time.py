"""How long a service takes, and how long the load of the model that may come before it.

The two are measured apart: a cold load happens once, and to count it among the services would
have callers sent away for minutes who could be served.
"""

from __future__ import annotations

from typing import Final

SMOOTHING: Final = 0.2  # weight of the newest service in the moving average, but for the first few
MOST: Final = 2.0  # times the average, that a service which broke off counts at most


class ServiceTime:
    """A moving average of services, and when a load under way will be over; times in seconds.

    Not locked: it is the bulkhead's own, which holds its lock.  `usual` is None until a first
    answer was measured: until then nothing is assumed.
    """

    __slots__ = ("_load", "_load_began", "_load_ended", "_services", "usual")

    def __init__(self) -> None:
        self.usual: float | None = None
        self._services = 0
        self._load = 0.0  # how long the last load took; 0: not known
        self._load_began: float | None = None  # of one that is under way
        self._load_ended = float("-inf")

    # Loads.

    def load_began(self, now: float) -> None:
        """Take note that the model is being loaded; of two loads at once the first counts."""
        if self._load_began is None:
            self._load_began = now

    def load_ended(self, now: float, *, whole: bool = True) -> None:
        """Take note that the load is over; `whole`: the model is there, so its time counts."""
        began, self._load_began = self._load_began, None
        if began is not None:
            self._load_ended = now
            if whole:
                self._load = now - began

    def load_left(self, now: float) -> float:
        """Return the seconds until the load under way is over; 0 if there is none, or who knows."""
        if self._load_began is None:
            return 0.0
        return max(0.0, self._load - (now - self._load_began))

    # Services.

    def running(self, since: float, now: float) -> float:
        """Return for how long one let in then has been served: not while a load was under way."""
        if self._load_began is not None:
            return 0.0
        return now - max(since, min(self._load_ended, now))

    def served(self, since: float, now: float, loading: float) -> None:
        """Take account of an answer; for `loading` seconds of it its server loaded the model."""
        seconds = now - since - loading
        if self._load_began is None:
            seconds = min(seconds, self.running(since, now))
        self.load_ended(now, whole=False)  # an answer shows that it is over
        seconds, before = max(0.0, seconds), self.usual or 0.0
        self._services += 1
        # The first after a load is a slow one: the next few count as much.
        self.usual = before + max(SMOOTHING, 1 / self._services) * (seconds - before)

    def broke_off(self, since: float, now: float) -> None:
        """Take account of a call without an answer: it tells only that a service takes longer."""
        seconds, before = self.running(since, now), self.usual
        if before is not None and seconds > before:
            self.usual = before + SMOOTHING * (min(seconds, MOST * before) - before)

    def left(self, since: float, now: float) -> float:
        """Return for how long one let in then will stay.

        One that is overdue by so much may take as much again, but hardly longer than usual.
        """
        if self.usual is None:
            return self.load_left(now)
        return self.load_left(now) + min(self.usual, abs(self.usual - self.running(since, now)))
