"""Whose time an attempt was: what this process took for itself, and what the provider had.

Between two socket operations the time is this process's (or the caller's, who reads a stream
slowly), and within one it is where the event loop was late.  The rest the provider had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NOTICEABLE: Final = 0.05  # seconds; what an idle process is late by is less


class Ledger:
    """The time of one attempt, kept at its socket operations, in seconds of `clock`."""

    __slots__ = (
        "_began",
        "_clock",
        "_idle_since",
        "_lag",
        "_marks",
        "_owed_since",
        "_quiet_own",
        "_quiet_since",
        "own",
    )

    def __init__(self, clock: Callable[[], float], now: float) -> None:
        self._clock = clock
        self._marks = {"total": (now, 0.0), "first_token": (now, 0.0)}
        self._began = self._idle_since = now
        self._quiet_since: float | None = None  # the last content; None: there was none
        self._quiet_own = 0.0
        self._owed_since: float | None = None  # since when the provider owes its next word
        self._lag = 0.0
        self.own = 0.0  # what the process took for itself, so far

    def mark(self, clock: str, since: float) -> None:
        """Note that a clock has begun, `since` when."""
        self._marks[clock] = (since, self.own)

    def content(self, now: float) -> None:
        """Note that content has come: the clock between tokens begins."""
        self._quiet_since, self._quiet_own = now, self.own

    def away(self, seconds: float) -> None:
        """Let the clock between tokens begin later by what its consumer took: it will be theirs."""
        if self._quiet_since is None:
            self._quiet_since, self._quiet_own = self._began, self.own
        self._quiet_since += seconds
        self._quiet_own += seconds

    def begin(self) -> float:
        """Begin a socket operation: what has passed since the last was the process's own.

        Returns the time.
        """
        self._began = now = self._clock()
        self.own += now - self._idle_since
        return now

    def asked(self) -> None:
        """Note that the operation that has begun puts the request on the wire, at once."""
        self._owed_since = self._began

    def heard(self) -> None:
        """Note that something was read."""
        self._owed_since = self._clock()

    def afresh(self) -> None:
        """Note that another request begins: nothing is owed yet."""
        self._owed_since = None

    def end(self, lag: float, *, heard: bool) -> None:
        """End it; for `lag` seconds of it the event loop looked at nothing.

        `heard`: something was read by it.
        """
        self._lag = lag
        self.own += lag
        self._idle_since = now = self._clock()
        if heard:
            self._owed_since = now

    def lateness(self, seconds: float) -> float:
        """Return by how much the process has missed the end of an operation of so many seconds.

        0 if nobody could notice.
        """
        late = self._clock() - self._began - seconds
        if late <= NOTICEABLE:
            return 0.0
        if seconds > 0:  # else it is from before the operation, and counted
            self.own += max(0.0, late - self._lag)
        return late

    def fair(self, clock: str | None, length: float, *, silent: bool) -> bool:
        """Tell whether the provider had its time: half of what it was given will do.

        So will a silence as long, if it is certain that nothing has come (`silent`), however
        busy the process was.  `clock` None: a client's own limit, which began with the operation.
        """
        now = self._clock()
        since, own = self._marks.get(clock or "", (self._began, self.own - self._lag))
        if clock == "between_tokens" and self._quiet_since is not None:
            since, own = self._quiet_since, self._quiet_own
        had = now - since - (self.own - own)
        if silent and self._owed_since is not None:
            had = max(had, now - self._owed_since)
        return had >= length / 2
