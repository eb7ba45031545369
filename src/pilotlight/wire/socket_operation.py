"""One socket operation under the attempt's clocks, and whose time it took.

That a clock has run out proves nothing yet.  The event loop may have been blocked, the process
suspended, the interpreter's lock held elsewhere, while the answer lay in the socket, or before
anything was sent.  So a read that ends late looks once more, and what this process took for
itself is not put down to the provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Final, Self

import httpcore

from pilotlight.wire.clocks import RequestMonitor
from pilotlight.wire.tap import Clock
from pilotlight.wire.time_ledger import NOTICEABLE

PERIOD: Final = 0.1  # seconds between two beats
GLANCE: Final = 0.02  # seconds for the second look: one turn of an event loop, not a wait


class Pulse:
    """How late one event loop has been, in seconds: a timer that beats while somebody waits."""

    __slots__ = ("_due", "_late", "_waiting")

    def __init__(self) -> None:
        self._waiting = 0
        self._due = inf  # when the next beat should come; inf: none is set
        self._late = 0.0

    def begin(self) -> float:
        """Beat from now on; return the lateness so far."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        if self._due == inf:
            self._set(loop)
        return self._behind(loop)

    def end(self) -> float:
        """Beat no more for this one; return the lateness so far."""
        self._waiting -= 1
        try:
            return self._behind(asyncio.get_running_loop())
        except RuntimeError:  # finalised after the loop's end
            return self._late

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + PERIOD
        loop.call_at(self._due, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._late = self._behind(loop)
        self._due = inf
        if self._waiting:
            self._set(loop)

    def _behind(self, loop: asyncio.AbstractEventLoop) -> float:
        overdue = loop.time() - self._due  # a beat that is due and has not come counts
        return self._late + overdue if overdue > NOTICEABLE else self._late


class Allowance(float):
    """The client's own limit, carrying the attempt's clocks with it.

    httpcore hands a request's timeouts, untouched, to every socket operation made
    for that request, in whatever thread or task that happens.  So they are the way
    to our network backend, and no context variable has to be set around each read.
    """

    __slots__ = ("monitor",)
    monitor: RequestMonitor

    def __new__(cls, seconds: float | None, monitor: RequestMonitor) -> Self:
        """Take None as no limit."""
        self = super().__new__(cls, inf if seconds is None else seconds)
        self.monitor = monitor
        return self


class Operation:
    """One socket operation; turns the clocks' end into the error that httpcore knows.

    After such an error, `late` is by how many seconds this process missed the end of the
    operation's time; 0 where it was punctual, and there is no use in looking once more.
    """

    __slots__ = (
        "_allowance",
        "_connecting",
        "_error",
        "_lag",
        "_pulse",
        "clock",
        "late",
        "seconds",
    )

    def __init__(
        self,
        timeout: float | None,
        error: type[Exception],
        pulse: Pulse | None = None,
        *,
        connecting: bool = False,
    ) -> None:
        self._error = error
        self._allowance = timeout if isinstance(timeout, Allowance) else None
        self._connecting = connecting
        self._pulse = pulse
        self._lag = 0.0
        self.seconds = timeout
        self.clock: Clock | None = None  # the one of ours that set the seconds
        self.late = 0.0

    def __enter__(self) -> float | None:
        """Return the seconds that the operation may take; None without a limit."""
        if self._allowance is None:
            return self.seconds
        monitor = self._allowance.monitor
        now = monitor.ledger.begin()
        seconds, self.clock = monitor.left(now, connecting=self._connecting)
        if self._allowance < seconds:  # the client's own limit is the nearer
            seconds, self.clock = float(self._allowance), None
        self.seconds = None if seconds == inf else seconds
        if seconds <= 0 and self.clock is not None:
            self._expire(monitor)
            raise self._error(f"the {self.clock} clock ran out")
        if self._error is httpcore.WriteTimeout:
            monitor.tap.written = True
            monitor.ledger.asked()
        if self._pulse is not None:
            self._lag = self._pulse.begin()
        return self.seconds

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._allowance is None:
            return
        monitor = self._allowance.monitor
        lag = 0.0 if self._pulse is None else self._pulse.end() - self._lag
        heard = kind is None and self._error is httpcore.ReadTimeout
        monitor.ledger.end(lag, heard=heard)
        if kind is not None and issubclass(kind, self._error):
            self._expire(monitor)

    def _expire(self, monitor: RequestMonitor) -> None:
        if self.seconds is not None:
            reading = self._error is httpcore.ReadTimeout
            self.late = monitor.expire(self.clock, self.seconds, reading=reading)

    @contextmanager
    def again(self) -> Iterator[float]:
        """Look once more for what was waited for; a failure of another kind is an answer too."""
        assert self._allowance is not None
        monitor = self._allowance.monitor
        try:
            yield GLANCE
        except httpcore.ReadTimeout:
            monitor.confirm()
            raise
        except Exception:
            monitor.forgive(self.late)
            raise
        monitor.forgive(self.late)
