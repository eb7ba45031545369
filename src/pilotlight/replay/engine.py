"""Plays recorded calls through the real flow, by the order of events and not by threads.

Each call starts when it started.  What the flow yields is answered at the moment at which
the record says that it came: an attempt after its recorded duration, a pause when it is
over, a place in a queue when it is free.  Calls that overlapped do so here.  Each process
of the log has its own breakers, as it had.

An attempt that a call's record holds ends as it did.  One that it does not hold, because
the policy asks somebody else, ends as that target's nearest known outcome in time:
`assumed` counts them, `unknown` those of targets that the log knows nothing of, which
fail.  An attempt that would outlast its limit ends there, as a timeout.

Not played: health checks, warm-ups, and the first text of a stream, which is taken to
come with its end.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from pilotlight.app import Pilotlight
from pilotlight.config.schema import Config
from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.failover import failover_flow
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.flow.steps import Flow, Outcome, Pause, Queue, Relay, Step
from pilotlight.core.provider import (
    Answered,
    Attempt,
    Call,
    Facts,
    Failed,
    Opened,
    Report,
)
from pilotlight.core.retry import policy
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.target import Target
from pilotlight.errors import PilotlightError, ProviderFault
from pilotlight.records.lines import Kept
from pilotlight.registry import Registry
from pilotlight.routes.route import Route
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import RULES, Effect, Fault
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt

CUT = ("abandoned", "cancelled", "raised")  # ended by the caller, with an attempt under way
FACTS_OF_THE_CALL = ("unsupported", "retired")  # skips that no policy changes
HALF = 0.5  # of a retry's longest pause, where the record has none


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it: a receipt for each call, and how many outcomes had to be assumed."""

    receipts: list[Receipt]
    attempts: int
    assumed: int
    unknown: int


def play(receipts: Sequence[Kept], config: Config) -> Played:
    """Run the recorded calls under this configuration; the same ones give the same result.

    Raises ConfigError if a call's route is not configured.
    """
    return _Theatre(receipts, config).play()


class Outcomes:
    """What each target is known to have said, by time; what only concerned one call is left out."""

    def __init__(self, receipts: Sequence[Receipt]) -> None:
        known: dict[str, list[tuple[float, int, AttemptRecord]]] = {}
        for number, receipt in enumerate(receipts):
            for each in receipt.attempts:
                if each.fault is None or RULES[each.fault].breaker is not Effect.IGNORES:
                    at = receipt.started_at + each.began
                    known.setdefault(each.target, []).append((at, number, each))
        for outcomes in known.values():
            outcomes.sort(key=lambda one: one[:2])
        self._known = known

    def nearest(self, target: str, at: float) -> AttemptRecord | None:
        """Return the target's outcome nearest to a moment, the earlier of two; None: unknown."""
        known = self._known.get(target)
        if not known:
            return None
        after = bisect_left(known, at, key=lambda one: one[0])
        around = known[max(0, after - 1) : after + 1]
        return min(around, key=lambda one: abs(one[0] - at))[2]


@dataclass(slots=True, eq=False)
class _Part:
    """One call being played."""

    receipt: Kept
    recorder: CallRecorder
    left: dict[str, deque[AttemptRecord]]  # its own attempts that have not been played, by target
    retries: Mapping[str, RetryPolicy]  # by target
    flow: Flow = field(init=False)
    asked: str | None = None  # the target of the last attempt
    last: AttemptRecord | None = None
    after_relay: Outcome | None = None
    waits: int = 0  # counted, so that a wake-up that comes too late is known

    def fraction(self) -> float:
        """Return how much of its longest pause the retry took that is to be decided on."""
        ahead = self.left.get(self.asked) if self.asked else None
        if not ahead or self.asked is None or self.last is None or ahead[0].number == 0:
            return HALF
        pause = ahead[0].began - self.last.began - self.last.duration
        longest = policy.delay(self.retries[self.asked], self.last.number, lambda: 1.0)
        return HALF if pause < 0 else min(1.0, pause / longest)


_End = Literal["end"]  # the caller had enough
_Due = tuple[float, int, _Part, int, Outcome | _End | None]


@dataclass(slots=True, eq=False)
class _Stage:
    """One process of the log: its routes, with health of its own."""

    app: Pilotlight
    targets: dict[str, Target] = field(default_factory=dict)

    def cast(self, route: Route) -> tuple[Target, ...]:
        """Return the route's targets; each lacks only the ability that stands for itself."""
        for each in route.targets:
            itself = partial(frozenset[str], (each.name,))
            self.targets.setdefault(each.name, replace(each, lacks=itself))
        return tuple(self.targets[each.name] for each in route.targets)


class _Theatre:
    def __init__(self, receipts: Sequence[Kept], config: Config) -> None:
        self.receipts = sorted(receipts, key=lambda each: each.started_at)
        self.config = config
        self.outcomes = Outcomes(self.receipts)
        self.clock = FakeClock(self.receipts[0].started_at if self.receipts else 0.0)
        self.stages: dict[str, _Stage] = {}
        self.due: list[_Due] = []
        self.number = 0
        self.attempts = self.assumed = self.unknown = 0

    def play(self) -> Played:
        journals = []
        for receipt in self.receipts:
            self._until(receipt.started_at)
            part = self._begin(receipt)
            journals.append(part.recorder)
            self._go_on(part, None)
        self._until(float("inf"))
        ended = [recorder.receipt() for recorder in journals]
        return Played(ended, self.attempts, self.assumed, self.unknown)

    def _until(self, moment: float) -> None:
        """Play what is due up to a moment, that included; then it is that moment."""
        while self.due and self.due[0][0] <= moment:
            at, _, part, wait, outcome = heapq.heappop(self.due)
            if part.waits == wait:
                self.clock.now = max(self.clock.now, at)
                self._go_on(part, outcome)
        if moment < float("inf"):
            self.clock.now = max(self.clock.now, moment)

    def _begin(self, receipt: Kept) -> _Part:
        if receipt.process not in self.stages:
            app = Pilotlight(self.config, clock=self.clock, registry=Registry(chance=lambda: 0.0))
            self.stages[receipt.process] = _Stage(app)
        stage = self.stages[receipt.process]
        route = stage.app.route(receipt.route)
        targets = stage.cast(route)
        total_timeout = None if route.total_timeout is None else self.clock() + route.total_timeout
        needs = frozenset(s.target for s in receipt.skipped if s.reason in FACTS_OF_THE_CALL)
        call = Call(
            receipt.route,
            private=receipt.private,
            deadline=total_timeout,
            needs=needs,
            operation=receipt.operation,
        )
        recorder = CallRecorder(
            *(receipt.route, targets[0].name, receipt.private, self.clock),
            *(receipt.call_id, receipt.started_at),
            operation=receipt.operation,
            played=True,
        )
        left: dict[str, deque[AttemptRecord]] = {}
        for each in receipt.attempts:
            left.setdefault(each.target, deque()).append(each)
        part = _Part(receipt, recorder, left, {each.name: each.retry for each in targets})
        ctx = CallContext(call, targets, route.policy, self.clock, recorder, part.fraction)
        part.flow = failover_flow(ctx)
        return part

    def _go_on(self, part: _Part, outcome: Outcome | _End | None) -> None:
        """Send a call what came; carry out what it wants next."""
        part.waits += 1
        if outcome == "end":
            self._leave(part)
            return
        try:
            step = part.flow.send(outcome)
            while isinstance(step, Relay):
                step = part.flow.send(part.after_relay)
        except (StopIteration, PilotlightError):
            return  # the recorder has it
        self._wait_for(part, step)

    def _leave(self, part: _Part) -> None:
        """End the call as its caller did."""
        if part.receipt.outcome == "abandoned":
            part.flow.send(Opened())
        if part.receipt.outcome == "raised":
            part.recorder.finish("raised")
        part.flow.close()

    def _wait_for(self, part: _Part, step: Step) -> None:
        now = self.clock()
        match step:
            case Attempt():
                self._ask(part, step)
            case Pause(seconds):
                self._at(now + seconds, part, None)
            case Queue(ticket, seconds):
                wait = part.waits
                if seconds is not None:
                    self._at(now + seconds, part, None)
                ticket.when_settled(lambda: self._at(self.clock(), part, None, wait))

    def _at(
        self, moment: float, part: _Part, outcome: Outcome | _End | None, wait: int | None = None
    ) -> None:
        self.number += 1
        entry = (moment, self.number, part, part.waits if wait is None else wait, outcome)
        heapq.heappush(self.due, entry)

    def _ask(self, part: _Part, step: Attempt) -> None:
        now, name = self.clock(), step.target.name
        self.attempts += 1
        if own := part.left.get(name):
            record: AttemptRecord | None = own.popleft()
        elif part.receipt.outcome in CUT:
            self._at(max(now, part.receipt.ended_at), part, "end")
            return
        else:
            record = self.outcomes.nearest(name, now)
            self.assumed += record is not None
            self.unknown += record is None
        part.asked, part.last = name, record
        takes, outcome = _came_of(record, step)
        if part.receipt.outcome == "interrupted" and record is part.receipt.attempts[-1]:
            part.after_relay, outcome = outcome, Opened()
        self._at(now + takes, part, outcome)


def _came_of(record: AttemptRecord | None, step: Attempt) -> tuple[float, Outcome]:
    """Return after how many seconds an attempt ends, and how."""
    limit = step.timeouts.total
    if record is not None and record.breaker == "half-open":
        limit = step.target.timeouts.total  # it was hurried as a trial then, if it had to be
    if record is None:
        return 0.0, _failed(Fault.UNKNOWN, step)
    if limit is not None and record.duration > limit:
        return limit, _failed(Fault.TIMEOUT, step)
    if record.fault is not None:
        return record.duration, _failed(record.fault, step, record)
    facts = Facts(
        record.served_model,
        *(record.prompt_tokens, record.completion_tokens, record.finish_reason),
        *(record.status, record.flags),
    )
    return record.duration, Answered(None, facts)


def _failed(fault: Fault, step: Attempt, record: AttemptRecord | None = None) -> Failed:
    error = ProviderFault(fault, step.target.name)
    if record is None:
        return Failed(Report(fault, error))
    kind = record.error_type or ""
    return Failed(Report(fault, error, record.retry_after, record.status, "", record.code, kind))
