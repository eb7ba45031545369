"""A bulkhead: how many calls a target carries at once, and how many may wait.

    ticket = bulkhead.enter(patience)       # never waits
    ticket.state                            # "granted" | "waiting" | "refused"
    ticket.when_granted(wake)               # the driver's way to wait
    ticket.release()                        # on every path, from any state

The queue is first come, first served, and shared by threads and tasks.  A call
that by the measured service time can't be served within its patience is refused
at once rather than kept waiting for nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

TicketState = Literal["granted", "waiting", "refused", "returned"]
SMOOTHING = 0.2  # weight of the newest service time in the moving average


class Ticket:
    """One call's place in the bulkhead or in its queue."""

    __slots__ = ("_bulkhead", "_wake", "retry_after", "since", "state")

    def __init__(self, bulkhead: Bulkhead, state: TicketState, retry_after: float = 0.0) -> None:
        self._bulkhead = bulkhead
        self._wake: Callable[[], None] | None = None
        self.state: TicketState = state
        self.retry_after = retry_after
        self.since = bulkhead.clock()

    def when_granted(self, wake: Callable[[], None]) -> None:
        """Call `wake` once the place is free; at once if it already is."""
        with self._bulkhead._lock:
            if self.state == "waiting":
                self._wake = wake
                return
        wake()

    def release(self) -> None:
        """Give the place back, or leave the queue; a second time does nothing."""
        self._bulkhead._leave(self)


class Bulkhead:
    """At most `concurrency` calls inside and `queue` waiting."""

    def __init__(self, concurrency: int, queue: int, clock: Callable[[], float]) -> None:
        self.concurrency = concurrency
        self.queue = queue
        self.clock = clock
        self._lock = threading.RLock()  # a stream finalised by the collector may release in here
        self._inside = 0
        self._waiting: deque[Ticket] = deque()
        self._service: float | None = None  # moving average, seconds

    @property
    def inside(self) -> int:
        """Calls in flight."""
        return self._inside

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    def configure(self, concurrency: int, queue: int) -> None:
        """Take new limits; those already inside or waiting stay."""
        with self._lock:
            self.concurrency, self.queue = concurrency, queue
            wake = self._admit()
        _call(wake)

    def enter(self, patience: float | None) -> Ticket:
        """Take a place, a place in the queue, or a refusal; `patience` in seconds."""
        with self._lock:
            if self._inside < self.concurrency and not self._waiting:
                self._inside += 1
                return Ticket(self, "granted")
            wait = self.expected_wait(len(self._waiting))
            full = len(self._waiting) >= self.queue
            if full or (patience is not None and wait > patience):
                return Ticket(self, "refused", wait)
            ticket = Ticket(self, "waiting")
            self._waiting.append(ticket)
            return ticket

    def expected_wait(self, ahead: int) -> float:
        """Seconds until a call with `ahead` others before it in the queue is served."""
        return (self._service or 0.0) * (ahead + 1) / max(1, self.concurrency)

    def _leave(self, ticket: Ticket) -> None:
        wake: list[Callable[[], None]] = []
        with self._lock:
            state, ticket.state = ticket.state, "returned"
            if state == "granted":
                self._note(self.clock() - ticket.since)
                self._inside -= 1
                wake = self._admit()
            elif state == "waiting":
                self._waiting.remove(ticket)
        _call(wake)

    def _admit(self) -> list[Callable[[], None]]:
        """Let in as many as fit; expects the lock; returns whom to wake after it."""
        wake = []
        while self._waiting and self._inside < self.concurrency:
            ticket = self._waiting.popleft()
            self._inside += 1
            ticket.state, ticket.since = "granted", self.clock()
            if ticket._wake is not None:
                wake.append(ticket._wake)
        return wake

    def _note(self, seconds: float) -> None:
        before = self._service
        self._service = (
            seconds if before is None else before + SMOOTHING * (max(0.0, seconds) - before)
        )


def _call(wake: list[Callable[[], None]]) -> None:
    for each in wake:
        each()
