"""Any order of coming and going, against a queue kept as a plain list."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pilotlight.core.bulkhead.bulkhead import Bulkhead, Ticket
from pilotlight.core.bulkhead.wait_queue import TURN
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.operations import PRIORITIES


def rank(ticket: Ticket) -> int:
    return PRIORITIES.index(ticket.priority)


class BulkheadMachine(RuleBasedStateMachine):
    @initialize(concurrency=st.integers(1, 3), queue=st.integers(0, 4))
    def start(self, concurrency: int, queue: int) -> None:
        self.clock = FakeClock()
        self.bulkhead = Bulkhead(concurrency, queue, self.clock)
        self.room, self.seats = concurrency, queue
        self.inside: list[Ticket] = []
        self.line: list[Ticket] = []  # in the order of coming
        self.called = 0
        self.gone: list[Ticket] = []  # displaced, refused, returned
        self.woken: list[Ticket] = []
        self.expected: list[Ticket] = []

    def admit(self) -> None:
        while self.line and len(self.inside) < self.room:
            self.called += 1
            ticket = self.line[0] if self.called % TURN == 0 else min(self.line, key=rank)
            self.line.remove(ticket)
            self.inside.append(ticket)
            self.expected.append(ticket)

    @rule(priority=st.sampled_from(PRIORITIES))
    def enter(self, priority: Any) -> None:
        before = list(self.line)
        ticket = self.bulkhead.enter(None, priority)
        if len(self.inside) < self.room and not self.line:
            assert ticket.state == "granted"
            self.inside.append(ticket)
            return
        if len(self.line) >= self.seats:
            lower = [each for each in self.line if rank(each) > rank(ticket)]
            if not lower:
                assert (ticket.state, ticket.refusal) == ("refused", "queue full")
                self.gone.append(ticket)
                return
            displaced = max(reversed(lower), key=rank)  # the newest of the lowest
            assert (displaced.state, displaced.refusal) == ("refused", "displaced")
            assert [each for each in before if each.state != "waiting"] == [displaced]
            self.line.remove(displaced)
            self.gone.append(displaced)
            self.expected.append(displaced)
        assert ticket.state == "waiting"
        ticket.when_settled(lambda: self.woken.append(ticket))
        self.line.append(ticket)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 5.0]), served=st.booleans())
    def leave(self, data: Any, seconds: float, served: bool) -> None:
        self.clock.advance(seconds)
        ticket = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        self.admit()
        if served:
            ticket.served()
        ticket.release()
        ticket.release()
        self.gone.append(ticket)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        ticket = self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))
        ticket.release()
        self.gone.append(ticket)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def return_what_is_gone(self, data: Any) -> None:
        data.draw(st.sampled_from(self.gone)).release()

    @precondition(lambda self: self.inside)
    @rule(patience=st.floats(0, 30), priority=st.sampled_from(PRIORITIES))
    def hurry(self, patience: float, priority: Any) -> None:
        """Who can't be served in time changes nothing; who can is seen by `enter`."""
        service = self.bulkhead._times.usual
        full = len(self.inside) >= self.room or self.line
        if (
            service is None
            or not full
            or self.bulkhead.expected_wait(priority) + service < (patience + 1e-6)
        ):
            return
        ticket = self.bulkhead.enter(patience, priority)
        assert (ticket.state, ticket.refusal) == ("refused", "no time left")
        assert ticket.retry_after > 0

    @rule(concurrency=st.integers(1, 4), queue=st.integers(0, 4))
    def configure(self, concurrency: int, queue: int) -> None:
        self.room, self.seats = concurrency, queue
        self.admit()
        self.bulkhead.configure(concurrency, queue)

    @invariant()
    def as_the_list_says(self) -> None:
        assert (self.bulkhead.inside, self.bulkhead.waiting) == (len(self.inside), len(self.line))
        assert all(ticket.state == "granted" for ticket in self.inside)
        assert all(ticket.state == "waiting" for ticket in self.line)
        assert all(ticket.state in ("refused", "returned") for ticket in self.gone)
        assert self.woken == self.expected  # each once, in the order of their turns

    def teardown(self) -> None:
        for ticket in [*getattr(self, "inside", []), *getattr(self, "line", [])]:
            ticket.release()
        if hasattr(self, "bulkhead"):
            assert (self.bulkhead.inside, self.bulkhead.waiting) == (0, 0)


TestBulkheadMachine = BulkheadMachine.TestCase
TestBulkheadMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
