"""A bulkhead: how many calls a target carries at once, and how many may wait.

    ticket = bulkhead.enter(patience, priority)     # never waits
    ticket.state                            # "granted" | "waiting" | "refused"
    ticket.when_settled(wake)               # the driver's way to wait
    ticket.served(loading)                  # after an answer: its time counts, but for a load
    ticket.release()                        # on every path, from any state

The queue is shared by threads and tasks (`core/bulkhead/wait_queue.py` says who is next).  A call
that by the measured service time (`core/bulkhead/service_time.py`) can't be served within its
patience is refused at once rather than kept waiting for nothing; so is one that a later call of a
higher priority makes too late.  When the queue is full, a call takes the place of the newest one of
a lower priority, which is then refused in its stead.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import islice
from typing import Literal

from pilotlight.core.bulkhead.service_time import ServiceTime
from pilotlight.core.bulkhead.wait_queue import WaitQueue
from pilotlight.core.fork import GATE
from pilotlight.vocabulary.operations import Priority

TicketState = Literal["granted", "waiting", "refused", "returned"]
Refusal = Literal["queue full", "no time left", "displaced"]
Wake = Callable[[], None]
UNMEASURED = 1.0  # seconds to come back after, while nothing has been served yet


class Ticket:
    """One call's place in the bulkhead or in its queue.

    `patience`: how many seconds it is worth waiting for the place; None: any time.  `ends` is the
    moment by which its answer must be there.
    `refusal` says why it was refused, or what a wait that ran out comes to.
    """

    __slots__ = ("_bulkhead", "_wake", "ends", "patience", "priority", "refusal", "since", "state")

    def __init__(
        self,
        bulkhead: Bulkhead,
        state: TicketState,
        priority: Priority,
        patience: float | None = None,
        refusal: Refusal = "no time left",
        ends: float = math.inf,
    ) -> None:
        self._bulkhead = bulkhead
        self._wake: Wake | None = None
        self.state: TicketState = state
        self.priority: Priority = priority
        self.patience = patience
        self.ends = ends
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

    def served(self, loading: float = 0.0) -> None:
        """Give the place back after an answer: the time it took is measured.

        `loading`: how many seconds of it the model was being loaded, by the server's own word.
        """
        self._bulkhead._leave(self, served=True, loading=loading)

    def release(self) -> None:
        """Give the place back, or leave the queue; a second time does nothing."""
        self._bulkhead._leave(self, served=False)


class Bulkhead:
    """At most `concurrency` calls inside and `queue` waiting."""

    def __init__(self, concurrency: int, queue: int, clock: Callable[[], float]) -> None:
        self.concurrency = concurrency
        self.queue = queue
        self.clock = clock
        self._times = ServiceTime()
        self._open()
        GATE.inherits(self)

    def _open(self) -> None:
        """Begin with nobody inside and nobody waiting."""
        self._lock = threading.RLock()  # a stream finalised by the collector may release in here
        self._inside: dict[Ticket, None] = {}  # in the order in which they were let in
        self._line: WaitQueue[Ticket] = WaitQueue()

    def forked(self) -> None:
        """In a child: the calls inside and in the queue, and a load, are the parent's."""
        for ticket in (*self._inside, *self._line):
            ticket.state = "returned"  # a copy of such a call may end here too
        self._times.load_ended(self.clock(), whole=False)
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
            ends = math.inf if patience is None else self.clock() + patience
            if len(self._inside) < self.concurrency and not self._line:
                ticket = Ticket(self, "granted", priority, ends=ends)
                self._inside[ticket] = None
                return ticket
            if patience is not None:
                patience -= self._times.usual or 0.0
                if self._wait(self._line.ahead(priority)) > patience:
                    return Ticket(self, "refused", priority)
            ticket = Ticket(self, "waiting", priority, patience, ends=ends)
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

        The one inside for the longest leaves first, and each is followed by one of the queue.
        """
        with self._lock:
            return self._wait(self._line.ahead(priority))

    def _wait(self, ahead: int) -> float:
        rounds, place = divmod(ahead, self.concurrency)
        place -= max(0, self.concurrency - len(self._inside))  # those places are free
        first = next(islice(self._inside, place, None), None) if place >= 0 else None
        now = self.clock()
        left = 0.0
        if first is not None:  # who can't be served in time leaves as well
            left = min(self._times.left(first.since, now), max(0.0, first.ends - now))
        return max(left, self._times.load_left(now)) + rounds * (self._times.usual or 0.0)

    def _too_late(self, priority: Priority) -> list[Ticket]:
        """Take out those whom a newcomer of this priority has made too late."""
        latest = self.clock() + (self._times.usual or 0.0)
        late = [
            ticket
            for ticket, ahead in self._line.behind(priority)
            if ticket.ends < latest + self._wait(ahead)
        ]
        for ticket in late:
            self._line.leave(ticket, ticket.priority)
        return late

    def retry_after(self, priority: Priority = "normal") -> float:
        """Seconds after which it is worth coming back; never 0."""
        return self.expected_wait(priority) or UNMEASURED

    def _leave(self, ticket: Ticket, *, served: bool, loading: float = 0.0) -> None:
        settled: list[Ticket] = []
        with self._lock:
            state, ticket.state = ticket.state, "returned"
            if state == "granted":
                now = self.clock()
                if served:
                    self._times.served(ticket.since, now, loading)
                else:
                    self._times.broke_off(ticket.since, now)
                del self._inside[ticket]
                settled = self._admit()
            elif state == "waiting":
                self._line.leave(ticket, ticket.priority)
        _call(settled)

    def _admit(self) -> list[Ticket]:
        """Let in as many as fit; expects the lock; returns whom to wake after it."""
        settled = []
        while self._line and len(self._inside) < self.concurrency:
            ticket = self._line.call()
            ticket.state, ticket.since = "granted", self.clock()
            self._inside[ticket] = None
            settled.append(ticket)
        return settled

    # A load that is under way.

    def load_began(self) -> None:
        """Take note that the target's model is being loaded: until its end nobody is served."""
        with self._lock:
            self._times.load_began(self.clock())

    def load_ended(self, *, whole: bool) -> None:
        """Take note that the load is over; `whole`: the model is there now."""
        with self._lock:
            self._times.load_ended(self.clock(), whole=whole)


def _call(settled: list[Ticket]) -> None:
    """Wake those who wait for these tickets; expects that the lock is not held."""
    for ticket in settled:
        if ticket._wake is not None:
            ticket._wake()
