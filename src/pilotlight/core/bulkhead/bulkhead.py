"""A bulkhead: how many calls a target carries at once, and how many may wait.

    ticket = bulkhead.enter(patience, priority)     # never waits
    ticket.state                            # "granted" | "waiting" | "refused"
    ticket.when_settled(wake)               # the driver's way to wait
    ticket.served()                         # after an answer: its time counts
    ticket.release()                        # on every path, from any state

The queue is shared by threads and tasks (`core/bulkhead/wait_queue.py` says who is next).  A call
that by the measured service time can't be served within its patience is refused at
once rather than kept waiting for nothing; so is one that a later call of a higher
priority makes too late.  When the queue is full, a call takes the place of the newest
one of a lower priority, which is then refused in its stead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from pilotlight.core.bulkhead.wait_queue import WaitQueue
from pilotlight.core.fork import GATE
from pilotlight.vocabulary.operations import Priority

TicketState = Literal["granted", "waiting", "refused", "returned"]
Refusal = Literal["queue full", "no time left", "displaced"]
Wake = Callable[[], None]
SMOOTHING = 0.2  # weight of the newest service time in the moving average
UNMEASURED = 1.0  # seconds to come back after, while nothing has been served yet


class Ticket:
    """One call's place in the bulkhead or in its queue.

    `patience`: how many seconds it is worth waiting for the place; None: any time.
    `refusal` says why it was refused, or what a wait that ran out comes to.
    """

    __slots__ = ("_bulkhead", "_wake", "patience", "priority", "refusal", "since", "state")

    def __init__(
        self,
        bulkhead: Bulkhead,
        state: TicketState,
        priority: Priority,
        patience: float | None = None,
        refusal: Refusal = "no time left",
    ) -> None:
        self._bulkhead = bulkhead
        self._wake: Wake | None = None
        self.state: TicketState = state
        self.priority: Priority = priority
        self.patience = patience
        self.refusal: Refusal = refusal
        self.since = bulkhead.clock()

    @property
    def retry_after(self) -> float:
        """Seconds until those who wait now are served: the time to come back."""
        return self._bulkhead.retry_after(self.priority)

    def when_settled(self, wake: Wake) -> None:
        """Call `wake` once the ticket waits no more; at once if it does not now."""
        with self._bulkhead._lock:
            if self.state == "waiting":
                self._wake = wake
                return
        wake()

    def served(self) -> None:
        """Give the place back after an answer: the time it took is measured."""
        self._bulkhead._leave(self, served=True)

    def release(self) -> None:
        """Give the place back, or leave the queue; a second time does nothing."""
        self._bulkhead._leave(self, served=False)


class Bulkhead:
    """At most `concurrency` calls inside and `queue` waiting."""

    def __init__(self, concurrency: int, queue: int, clock: Callable[[], float]) -> None:
        self.concurrency = concurrency
        self.queue = queue
        self.clock = clock
        self._service: float | None = None  # moving average, seconds
        self._open()
        GATE.inherits(self)

    def _open(self) -> None:
        """Begin with nobody inside and nobody waiting."""
        self._lock = threading.RLock()  # a stream finalised by the collector may release in here
        self._inside: dict[Ticket, None] = {}  # in the order in which they were let in
        self._line: WaitQueue[Ticket] = WaitQueue()

    def forked(self) -> None:
        """In a child: the calls inside and in the queue are the parent's."""
        for ticket in (*self._inside, *self._line):
            ticket.state = "returned"  # a copy of such a call may end here too
        self._open()

    @property
    def inside(self) -> int:
        """Calls in flight."""
        return len(self._inside)

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._line)

    def configure(self, concurrency: int, queue: int) -> None:
        """Take new limits; those already inside or waiting stay."""
        with self._lock:
            self.concurrency, self.queue = concurrency, queue
            wake = self._admit()
        _call(wake)

    def enter(self, patience: float | None, priority: Priority = "normal") -> Ticket:
        """Take a place, a place in the queue, or a refusal.

        `patience`: seconds until the answer must be there; None: any time.  A free
        place is given whatever it says: only by serving is the average mended.
        """
        with self._lock:
            if len(self._inside) < self.concurrency and not self._line:
                ticket = Ticket(self, "granted", priority)
                self._inside[ticket] = None
                return ticket
            if patience is not None:
                patience -= self._service or 0.0
                if self.expected_wait(priority) > patience:
                    return Ticket(self, "refused", priority, refusal="no time left")
            ticket = Ticket(self, "waiting", priority, patience)
            self._line.join(ticket, priority)
            displaced = self._too_late(priority)
            if not displaced and len(self._line) > self.queue:
                newest = self._line.dismiss(priority)
                if newest is None:
                    self._line.leave(ticket, priority)
                    ticket.state, ticket.refusal = "refused", "queue full"
                    return ticket
                displaced = [newest]
            for each in displaced:
                each.state, each.refusal = "refused", "displaced"
        _call(displaced)
        return ticket

    def expected_wait(self, priority: Priority = "normal") -> float:
        """Seconds until a call that joins the queue now is let in; 0 while nothing is measured.

        The one inside for the longest leaves first; then a place comes free every
        `service time / concurrency`.
        """
        with self._lock:
            return self._wait(self._line.ahead(priority))

    def _wait(self, ahead: int) -> float:
        if self._service is None or not self._inside:
            return 0.0
        running = self.clock() - next(iter(self._inside)).since
        each = self._service / self.concurrency
        return max(each, self._service - running) + ahead * each

    def _too_late(self, priority: Priority) -> list[Ticket]:
        """Take out those whom a newcomer of this priority has made too late."""
        now = self.clock()
        late = [
            ticket
            for ticket, ahead in self._line.behind(priority)
            if ticket.patience is not None
            and ticket.since + ticket.patience < now + self._wait(ahead)
        ]
        for ticket in late:
            self._line.leave(ticket, ticket.priority)
        return late

    def retry_after(self, priority: Priority = "normal") -> float:
        """Seconds after which it is worth coming back; never 0."""
        return self.expected_wait(priority) or UNMEASURED

    def _leave(self, ticket: Ticket, *, served: bool) -> None:
        admitted: list[Ticket] = []
        with self._lock:
            state, ticket.state = ticket.state, "returned"
            if state == "granted":
                self._note(self.clock() - ticket.since, served)
                del self._inside[ticket]
                admitted = self._admit()
            elif state == "waiting":
                self._line.leave(ticket, ticket.priority)
        _call(admitted)

    def _admit(self) -> list[Ticket]:
        """Let in as many as fit; expects the lock; returns whom to wake after it."""
        admitted = []
        while self._line and len(self._inside) < self.concurrency:
            ticket = self._line.call()
            ticket.state, ticket.since = "granted", self.clock()
            self._inside[ticket] = None
            admitted.append(ticket)
        return admitted

    def _note(self, seconds: float, served: bool) -> None:
        """Keep the average.  A call that was not served tells only that a service takes longer."""
        before = self._service
        if served:
            self._service = seconds if before is None else before + SMOOTHING * (seconds - before)
        elif before is not None and seconds > before:
            self._service = before + SMOOTHING * (seconds - before)


def _call(settled: list[Ticket]) -> None:
    """Wake those who wait for these tickets; expects that the lock is not held."""
    for ticket in settled:
        if ticket._wake is not None:
            ticket._wake()
