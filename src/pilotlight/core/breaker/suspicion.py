"""Suspicion: a target that seems to have died is not sent everything that comes.

A breaker counts calls that have ended, and is blind to what is in flight: of two hundred
concurrent calls five failures open it, and the other 195 are under way.  So after `DOUBT`
failures with no success since, only as many calls may be in flight as could still open it.
The others go on to the next target at once, if there is one; else they go as ever.

A target that hangs shows no failures for a long time.  Two things stand for them:

- A call that has been silent far longer than is usual is a failure that is not settled yet.
- Silence itself: `RUN` calls have come since the last sign of life, `DUE` answers would have by
  the window's rate, and of those in flight one is late.  Of fifty answers a second that come at
  random, one in a thousand is preceded by so many calls.

Any success, or first token, is a sign of life, and says that the silent ones are only slow.
Every method is called with the breaker's lock held, and none waits.
"""

from __future__ import annotations

import math
from typing import Final

from pilotlight.core.breaker.permit import Permit
from pilotlight.core.breaker.window import Window

DOUBT: Final = 2  # failures: one may be a blip
RUN: Final = 10  # calls without a sign of life
DUE: Final = 5.0  # answers: that many keep away by chance once in 150 times


class Suspicion:
    """The calls in flight at one target of which nothing has been heard yet."""

    __slots__ = ("_born", "_failures", "_run", "_sign", "_silent", "_since", "_soonest")

    def __init__(self, now: float) -> None:
        self._silent: set[Permit] = set()
        self._soonest = math.inf  # before this moment none of them is overdue
        self._failures = 0  # since the last sign of life
        self._run = 0  # calls that have come since
        self._born = self._sign = now
        self._since: float | None = None  # when a call was first sent elsewhere, or the last let in

    def admitted(self, permit: Permit) -> None:
        """A call has begun."""
        self._silent.add(permit)
        self._run += 1
        self._soonest = min(self._soonest, permit.overdue)

    def heard(self, permit: Permit) -> None:
        """It has ended, or given its first token."""
        self._silent.discard(permit)

    def failed(self) -> None:
        """A call has failed."""
        self._failures += 1

    def cleared(self, now: float) -> None:
        """The target has shown that it lives: those that are overdue are only slow."""
        self._failures = self._run = 0
        self._sign, self._since = now, None
        if now >= self._soonest:
            self._silent.difference_update([p for p in tuple(self._silent) if now >= p.overdue])
            self._look_ahead()

    def awake(self, now: float) -> bool:
        """Tell whether there is anything to look at: nearly always there is not."""
        return self._failures >= DOUBT or self._run >= RUN or now >= self._soonest

    def full(self, now: float, window: Window, missing: int) -> bool:
        """Tell whether another call would be one too many.

        `missing` is how many failures more would open the circuit.
        """
        if len(self._silent) < missing:
            return False
        failures = min(self._failures, window.in_a_row) + self._overdue(now)
        return failures >= DOUBT or self._fell_silent(now, window)

    def founded(self, now: float, window: Window) -> bool:
        """Tell whether there is reason to doubt: failures, a call that is overdue, or silence."""
        doubts = self._failures >= DOUBT or self._overdue(now) > 0
        return doubts or self._fell_silent(now, window)

    def overruled(self, now: float, pause: float) -> bool:
        """Tell whether one call may go all the same: there is none for `pause` seconds.

        Those in flight may be lost for good, and hold back all others for as long as they last.
        """
        since = self._since
        if since is not None and now < since + pause:
            return False
        self._since = now
        return since is not None

    def _fell_silent(self, now: float, window: Window) -> bool:
        counted = min(window.seconds, now - self._born)  # a young window holds less
        answers = window.calls - window.failures
        due = (now - self._sign) * answers / counted if counted > 0 else 0.0
        return self._run >= RUN and due >= DUE and any(now >= p.late for p in tuple(self._silent))

    def _overdue(self, now: float) -> int:
        if now < self._soonest:
            return 0
        # A copy: a stream that the collector finds may give its permit back in here.
        self._silent.difference_update([p for p in tuple(self._silent) if now >= p.lost])
        overdue = sum(now >= permit.overdue for permit in tuple(self._silent))
        if not overdue:
            self._look_ahead()
        return overdue

    def _look_ahead(self) -> None:
        self._soonest = min((p.overdue for p in tuple(self._silent)), default=math.inf)
