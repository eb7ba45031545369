"""Any order of coming and going, against a queue kept as a plain list."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pilotlight.core.bulkhead import Bulkhead, Ticket
from pilotlight.testing import FakeClock


class BulkheadMachine(RuleBasedStateMachine):
    @initialize(concurrency=st.integers(1, 3), queue=st.integers(0, 3))
    def start(self, concurrency: int, queue: int) -> None:
        self.clock = FakeClock()
        self.bulkhead = Bulkhead(concurrency, queue, self.clock)
        self.room, self.seats = concurrency, queue
        self.inside: list[Ticket] = []
        self.line: list[Ticket] = []
        self.woken: list[Ticket] = []
        self.expected: list[Ticket] = []

    def admit(self) -> None:
        while self.line and len(self.inside) < self.room:
            ticket = self.line.pop(0)
            self.inside.append(ticket)
            self.expected.append(ticket)

    @rule()
    def enter(self) -> None:
        ticket = self.bulkhead.enter(None)
        if len(self.inside) < self.room and not self.line:
            assert ticket.state == "granted"
            self.inside.append(ticket)
        elif len(self.line) < self.seats:
            assert ticket.state == "waiting"
            ticket.when_granted(lambda: self.woken.append(ticket))
            self.line.append(ticket)
        else:
            assert ticket.state == "refused"

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 5.0]))
    def leave(self, data: Any, seconds: float) -> None:
        self.clock.advance(seconds)
        ticket = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        self.admit()
        ticket.release()
        ticket.release()

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        ticket = self.line.pop(data.draw(st.integers(0, len(self.line) - 1)))
        ticket.release()

    @rule(concurrency=st.integers(1, 4), queue=st.integers(0, 3))
    def configure(self, concurrency: int, queue: int) -> None:
        self.room, self.seats = concurrency, queue
        self.admit()
        self.bulkhead.configure(concurrency, queue)

    @invariant()
    def as_the_list_says(self) -> None:
        assert (self.bulkhead.inside, self.bulkhead.waiting) == (len(self.inside), len(self.line))
        assert all(ticket.state == "granted" for ticket in self.inside)
        assert all(ticket.state == "waiting" for ticket in self.line)
        assert self.woken == self.expected  # each once, in the order they came

    def teardown(self) -> None:
        for ticket in [*getattr(self, "inside", []), *getattr(self, "line", [])]:
            ticket.release()
        if hasattr(self, "bulkhead"):
            assert (self.bulkhead.inside, self.bulkhead.waiting) == (0, 0)


TestBulkheadMachine = BulkheadMachine.TestCase
TestBulkheadMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
