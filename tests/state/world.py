"""A simulated fleet: real routes, flows, breakers and boards, on one clock that events move.

A process has a route of its own over the shared endpoint and a fallback that is always well.
Its calls are driven as a driver would, but side by side: what takes time is an event that
comes later, so that trials of several processes may overlap, if anything lets them.  Each
process looks at the board as the thread of `Fleet` does, a little out of step with the others.
The endpoint (`Sick`) is dead until it heals, and may be slow in either.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sim import CALM, Process

from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.flow.failover import Policy, failover_flow
from pilotlight.core.flow.steps import Pause, Queue
from pilotlight.core.provider import Answered, Attempt, Failed, Report
from pilotlight.errors import AllTargetsFailed, DeadlineExceeded, ProviderFault
from pilotlight.routes.route import Route
from pilotlight.state.fleet import GAP, JITTER
from pilotlight.state.member import REFRESH
from pilotlight.state.memory import MemoryBoard
from pilotlight.testing import FakeClock, ScriptedTarget
from pilotlight.vocabulary.faults import Fault


@dataclass
class Sick:
    """The shared endpoint: dead until `heals`, and this slow to fail or to answer, in seconds."""

    heals: float
    failing_takes: float = 0.01
    answer_takes: float = 0.1


@dataclass
class Made:
    """One call: when it began, whether the endpoint was asked, and whether it answered."""

    process: int
    began: float
    asked: list[float] = field(default_factory=list)
    trials: int = 0
    served: bool = False
    over: float | None = None


class World:
    def __init__(
        self,
        number: int,
        sick: Sick,
        *,
        policy: BreakerPolicy = CALM,
        seed: int = 0,
        deadline: float | None = None,
        apart: float = 0.0,  # seconds between the clocks of one process and the next
        late: float = 0.0,  # seconds at most that a look at the board comes late
    ) -> None:
        self.clock, self.apart, self.late = FakeClock(), apart, late
        self.random = random.Random(seed)
        self.board = MemoryBoard(self.clock)
        self.sick = sick
        self.calls: list[Made] = []
        self.served: list[Made] = []  # by the endpoint, in the order of its answers
        self.trying: dict[int, float] = {}  # the trials under way: call, since when
        self.most_trying = 0
        self.last_break = 0.0  # the latest end of any break so far
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.members = [_Simulated(self, index, policy, deadline) for index in range(number)]

    def at(self, moment: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        self.at(self.clock() + seconds, do)

    def run(self, until: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Let time pass up to a moment, or until something is so."""
        while self._events and self._events[0][0] <= until and not stop():
            moment, _, do = heapq.heappop(self._events)
            self.clock.now = max(self.clock.now, moment)
            do()
        if not stop():
            self.clock.now = until

    def call(self, process: int) -> Made | None:
        """Begin a call now; None where the process is dead."""
        member = self.members[process]
        if member.dead:
            return None
        made = Made(process, self.clock())
        self.calls.append(made)
        member.drive(made)
        return made

    def break_everywhere(self) -> None:
        """Let the first process find out, and the others hear of it."""
        while self.members[0].process.state == "closed":
            self.call(0)
            self.run(self.clock() + 1.0)
        self.run(self.clock() + 3.0)

    def served_after(self, moment: float) -> Made | None:
        """The first call that asked the endpoint after a moment and was served by it."""
        return next((m for m in self.served if m.asked[-1] >= moment), None)


class _Simulated:
    """One process of the world."""

    def __init__(
        self, world: World, index: int, policy: BreakerPolicy, deadline: float | None
    ) -> None:
        self.world, self.index, self.dead = world, index, False
        self.ahead = index * world.apart
        clock = lambda: world.clock() + self.ahead
        self.process = Process(clock, world.board, policy, wake=self._woken)
        self.process.breaker._chance = world.random.random
        shared = ScriptedTarget(f"shared{index}", clock=clock)
        shared.health = self.process.health
        shared.health.attend = None  # the world steps it, no thread does
        back = ScriptedTarget("back", clock=clock)
        self.shared = shared
        self.route = Route("r", (shared, back), Policy(), clock=clock, deadline=deadline)
        self._began = -GAP
        self._due = 0
        self._look_in(world.random.uniform(0.0, REFRESH))

    # The thread of the fleet.

    def _look_in(self, seconds: float) -> None:
        self._due += 1
        number = self._due
        self.world.after(seconds, lambda: self._look() if number == self._due else None)

    def _look(self) -> None:
        if self.dead:
            return
        stuck = self.world.random.uniform(0.0, self.world.late)
        self._began = self.world.clock() + stuck
        self.process.step()
        haste = any(each.in_haste for each in self.process.fleet._members)
        nap = GAP if haste else REFRESH * (1 - JITTER * self.world.random.random())
        self._look_in(stuck + nap)

    def _woken(self) -> None:
        self._look_in(max(0.0, self._began + GAP - self.world.clock()))

    # The driver of its calls.

    def drive(self, made: Made) -> None:
        trip = self.route.trip([{"role": "user", "content": "hello"}], {})
        self._go_on(made, failover_flow(trip), None)

    def _go_on(self, made: Made, flow: Any, outcome: Any) -> None:
        if self.dead:
            return  # and nothing is given back: the lease has to run out
        try:
            step = flow.send(outcome)
        except (StopIteration, AllTargetsFailed, DeadlineExceeded):
            made.over = self.world.clock()
            return
        match step:
            case Attempt():
                self._ask(made, flow, step)
            case Pause(seconds):
                self.world.after(seconds, lambda: self._go_on(made, flow, None))
            case Queue(ticket, seconds):
                self._wait(made, flow, ticket, seconds)

    def _wait(self, made: Made, flow: Any, ticket: Any, seconds: float | None) -> None:
        gone = iter((None,))  # once: settled, or out of patience

        def go_on() -> None:
            if next(gone, self) is None:
                self._go_on(made, flow, None)

        if seconds is not None:
            self.world.after(seconds, go_on)
        ticket.when_settled(lambda: self.world.after(0.0, go_on))

    def _ask(self, made: Made, flow: Any, step: Attempt) -> None:
        if step.target is not self.shared:
            self._go_on(made, flow, Answered("from the fallback"))
            return
        world, sick = self.world, self.world.sick
        well = world.clock() >= sick.heals
        trial = self.process.state != "closed"
        made.asked.append(world.clock())
        made.trials += trial
        if trial:
            world.trying[id(made)] = world.clock()
            world.most_trying = max(world.most_trying, len(world.trying))

        def ended() -> None:
            if self.dead:
                return
            world.trying.pop(id(made), None)
            if well:
                made.served = True
                world.served.append(made)
            error = ProviderFault(Fault.SERVER_ERROR, "shared")
            outcome = Answered("well") if well else Failed(Report(Fault.SERVER_ERROR, error))
            self._go_on(made, flow, outcome)
            until = getattr(self.process.breaker.state, "until", 0.0) - self.ahead
            world.last_break = max(world.last_break, until)

        world.after(sick.answer_takes if well else sick.failing_takes, ended)

    def die(self) -> None:
        """Fall silent, as after kill -9: what it had in flight is nobody's any more."""
        self.dead = True
        for made in self.world.calls:
            if made.process == self.index:
                self.world.trying.pop(id(made), None)


def by_turns(world: World, processes: list[int], gap: float, burst: int = 1) -> Iterator[None]:
    """Schedule calls: one process after another, `gap` apart, each a burst of so many."""
    turn = 0
    while True:
        for number in range(burst):
            world.after(0.05 * number, lambda p=processes[turn % len(processes)]: world.call(p))
        yield
        world.run(world.clock() + gap)
        turn += 1
