"""A provider that dies and heals, simulated: the product's own flow, on a fake clock.

    world = World(seed=1)
    primary = world.provider("gpt", Model(usual=lognormal(1.0)), [Outage(60.0, 180.0, "hang")])
    local = world.provider("local", Model(usual=lognormal(0.2)))
    world.every(4.0, [primary, local])          # a call every four seconds
    world.run(300.0)
    world.calls, primary.asked                  # what callers saw, and what reached it

Times are seconds from the start.  Calls overlap; nothing waits.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal

from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.bulkhead.bulkhead import Bulkhead
from pilotlight.core.flow.failover import CallContext, Policy, failover_flow
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.flow.steps import Outcome, Pause, Queue, Relay
from pilotlight.core.provider import Answered, Attempt, Call, Ended, Failed, Opened, Report
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.target import Health, Target
from pilotlight.errors import PilotlightError, ProviderFault
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import Receipt

Kind = Literal["refused", "500", "429", "hang"]
Times = Callable[[Random], float]

FAULTS: Final = {
    "refused": (Fault.CONNECTION_ERROR, 0.003),
    "500": (Fault.SERVER_ERROR, 0.05),
    "429": (Fault.RATE_LIMITED, 0.05),
    "hang": (Fault.TIMEOUT, math.inf),
}
"""What a caller gets of each kind of outage, and after how many seconds."""


def lognormal(median: float, spread: float = 0.5) -> Times:
    """Return times around a median, as those of language models are: with a long tail."""
    return lambda random: random.lognormvariate(math.log(median), spread)


@dataclass(frozen=True, slots=True)
class Outage:
    """The provider is dead from `begin` until `end`; of what was under way, too, nothing comes."""

    begin: float
    end: float
    kind: Kind

    def strikes(self, begin: float, end: float) -> bool:
        """Tell whether a request that would last from `begin` to `end` is lost."""
        return begin < self.end and self.begin < end


@dataclass(frozen=True, slots=True)
class Model:
    """How a provider answers while it is well.

    `usual` is the time to a whole answer, `first` to the first token of a stream (which then
    takes `usual` more); a share `fails` of the requests fails at random, after `fails_after`.
    """

    usual: Times
    first: Times = lognormal(0.4)
    fails: float = 0.0
    fails_after: float = 0.2


@dataclass(eq=False)
class Provider:
    """A target with what it does, and what has reached it."""

    target: Target
    model: Model
    outages: Sequence[Outage]
    clock: FakeClock
    random: Random
    asked: list[float] = field(default_factory=list)

    def answer(self, step: Attempt, stream: bool) -> list[tuple[float, Outcome]]:
        """Return what comes of a request that begins now: after how many seconds, and what."""
        now = self.clock()
        self.asked.append(now)
        if self.random.random() < self.model.fails:
            return [(self.model.fails_after, _failed(step, Fault.SERVER_ERROR))]
        limits = step.timeouts
        takes = self.model.first(self.random) if stream else self.model.usual(self.random)
        limit = _least(limits.first_token if stream else None, limits.total)
        if takes > limit:
            said = [(limit, _failed(step, Fault.TIMEOUT))]
        elif stream:
            said = [(takes, Opened()), (self.model.usual(self.random), Ended())]
        else:
            said = [(takes, Answered("hello"))]
        whole = sum(after for after, _ in said)
        struck = next((o for o in self.outages if o.strikes(now, now + whole)), None)
        return said if struck is None else _struck(struck, now, said, step, limit)


def _struck(
    outage: Outage, now: float, said: list[Any], step: Attempt, limit: float
) -> list[tuple[float, Outcome]]:
    """Return what comes of a request that an outage meets."""
    fault, after = FAULTS[outage.kind]
    dies = max(outage.begin - now, 0.0)
    if len(said) == 2 and dies > said[0][0]:  # a stream that has begun
        return [said[0], (dies - said[0][0], _failed(step, Fault.STREAM_INTERRUPTED))]
    return [(min(dies + after, limit), _failed(step, fault))]


def _least(*limits: float | None) -> float:
    return min((each for each in limits if each is not None), default=math.inf)


def _failed(step: Attempt, fault: Fault) -> Failed:
    return Failed(Report(fault, ProviderFault(fault, step.target.name)))


class World:
    """The clock, the providers and the calls; the same seed gives the same course."""

    def __init__(self, seed: int | str) -> None:
        self.random = Random(seed)
        self.clock = FakeClock(0.0)
        self.calls: list[Receipt] = []
        self._providers: dict[Target, Provider] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def provider(
        self,
        name: str,
        model: Model,
        outages: Sequence[Outage] = (),
        *,
        policy: BreakerPolicy | None = None,
        concurrency: int | None = None,
    ) -> Provider:
        """Add a target; what is not given is the product's default."""
        breaker = Breaker(name, policy, clock=self.clock, chance=self.random.random)
        retry = RetryPolicy()
        bulkhead = None if concurrency is None else Bulkhead(concurrency, 16, self.clock)
        health = Health(breaker, RetryBudget(retry.budget_ratio, retry.budget_reserve), bulkhead)
        target = Target(name, f"simulated/{name}", None, health, retry=retry)  # type: ignore[arg-type]
        made = Provider(target, model, outages, self.clock, self.random)
        self._providers[target] = made
        return made

    # When calls come.

    def at(self, moment: float, work: Callable[[], None]) -> None:
        """Do something at a moment."""
        self._number += 1
        heapq.heappush(self._due, (moment, self._number, work))

    def every(
        self, seconds: float, chain: Sequence[Provider], *, stream: bool = False, first: float = 0.0
    ) -> None:
        """Make a call every so many seconds."""

        def one() -> None:
            self.at(self.clock() + seconds, one)
            self.call(chain, stream=stream)

        self.at(first, one)

    def poisson(
        self, rate: float, chain: Sequence[Provider], *, stream: bool = False, first: float = 0.0
    ) -> None:
        """Make so many calls a second on average, at random moments."""

        def one() -> None:
            self.at(self.clock() + self.random.expovariate(rate), one)
            self.call(chain, stream=stream)

        self.at(first, one)

    def callers(self, number: int, chain: Sequence[Provider], *, stream: bool = False) -> None:
        """Let so many callers each make one call after the other."""

        def again() -> None:
            self.call(chain, stream=stream, then=again)

        for _ in range(number):
            self.at(self.random.random(), again)

    def call(
        self,
        chain: Sequence[Provider],
        *,
        stream: bool = False,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Make one call now."""
        targets = tuple(each.target for each in chain)
        recorder = CallRecorder("chat", targets[0].name, False, self.clock, started_at=self.clock())
        ctx = CallContext(
            Call("chat", stream=stream),
            targets,
            Policy(),
            self.clock,
            recorder,
            self.random.random,
        )
        self._go_on(_Talk(failover_flow(ctx), recorder, stream, then), None)

    def run(self, until: float) -> None:
        """Let time pass up to a moment."""
        while self._due and self._due[0][0] <= until:
            moment, _, work = heapq.heappop(self._due)
            self.clock.now = max(self.clock.now, moment)
            work()
        self.clock.now = until

    # The driver.

    def _go_on(self, talk: _Talk, outcome: Outcome | None) -> None:
        try:
            step = talk.flow.send(outcome)
        except (StopIteration, PilotlightError):
            talk.flow.close()
            self.calls.append(talk.recorder.receipt())
            if talk.then is not None:
                self.at(self.clock(), talk.then)
            return
        now = self.clock()
        match step:
            case Attempt(target):
                first, *talk.later = self._providers[target].answer(step, talk.stream)
                self._say(talk, first)
            case Relay():
                self._say(talk, talk.later.pop(0))
            case Pause(seconds):
                self.at(now + seconds, lambda: self._go_on(talk, None))
            case Queue(ticket, seconds):
                woken: list[int] = []

                def wake() -> None:
                    if not woken:
                        woken.append(1)
                        self.at(self.clock(), lambda: self._go_on(talk, None))

                if seconds is not None:
                    self.at(now + seconds, wake)
                ticket.when_settled(wake)

    def _say(self, talk: _Talk, said: tuple[float, Outcome]) -> None:
        after, outcome = said
        self.at(self.clock() + after, lambda: self._go_on(talk, outcome))


@dataclass(eq=False, slots=True)
class _Talk:
    """One call on its way."""

    flow: Any
    recorder: CallRecorder
    stream: bool
    then: Callable[[], None] | None
    later: list[tuple[float, Outcome]] = field(default_factory=list)


# What is told of a course.


def served_again(world: World, name: str, healed: float) -> float:
    """Return how many seconds after its healing a target served its first call."""
    ends = [
        receipt.attempts[-1].began + receipt.started_at
        for receipt in world.calls
        if receipt.served_by == name
    ]
    return min((at - healed for at in ends if at >= healed), default=math.inf)


def trials(world: World, name: str) -> int:
    """Return how many calls were trials of an unwell target, and failed."""
    return sum(
        attempt.breaker == "half-open" and attempt.fault is not None
        for receipt in world.calls
        for attempt in receipt.attempts
        if attempt.target == name
    )
