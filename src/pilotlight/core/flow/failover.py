"""The one road: what to do next with a call, decided in one place for all four shapes.

`failover_flow` is a generator.  It yields what should be done (`core/flow/steps.py`)
and is sent what came of it; a driver (`core/flow/drivers.py`) does the doing.  It
never waits, sleeps, touches a network or reads a clock it was not given.

Nesting, outermost first: deadline, failover, retry, bulkhead, breaker permit,
attempt.  Every permit and ticket is given back in a `finally`: a driver closes
the flow on every path, so cancellation, Ctrl-C and an abandoned stream all end
in `release`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from pilotlight import events
from pilotlight.core.breaker.breaker import Permit
from pilotlight.core.bulkhead.bulkhead import Ticket
from pilotlight.core.drills import forced
from pilotlight.core.flow.admission import doubted, hope, permit_for, trial_limits
from pilotlight.core.flow.context import Again, Left, Policy, Stop, Trip
from pilotlight.core.flow.decisions import (
    allowance,
    bar_after,
    break_for,
    judged,
    limits,
    patience,
    refusal,
    remaining,
    retry_delay,
    saturated,
    worth_sitting_out,
)
from pilotlight.core.flow.endings import raise_all_failed, raise_deadline, raise_if_final
from pilotlight.core.flow.gather import asking, gathers, heard
from pilotlight.core.flow.steps import Flow, Outcome, Pause, Queue, Relay, Step, StreamRestarted
from pilotlight.core.provider import Answered, Ended, Facts, Failed, Opened
from pilotlight.core.target import Target
from pilotlight.errors import CircuitOpen, StreamInterrupted, TargetSkipped
from pilotlight.vocabulary.faults import RULES, Effect, Fault
from pilotlight.vocabulary.receipt import SkipRecord

__all__ = ["Policy", "Trip", "failover_flow"]

Visit = Generator[Step, Outcome | None, Answered | Ended | Left]


def failover_flow(trip: Trip) -> Flow:
    """Try the targets in order and return the first good answer (None for a stream).

    Raises AllTargetsFailed, DeadlineExceeded, StreamInterrupted, or the
    provider's own exception when the mistake is the caller's.
    """
    journal = trip.journal
    hopes: list[Left] = []
    restarted: StreamRestarted | None = None
    previous: Left | None = None
    barred: Callable[[Target], TargetSkipped | None] = _nobody_is_barred
    try:
        for stop in _itinerary(trip, hopes):
            target, behind = stop.target, stop.behind
            if remaining(trip) <= 0:
                raise_deadline(trip)
            if (refused := barred(target)) is not None:
                _skip(trip, target, refused)
                continue
            if previous is not None:
                if previous.target is not target:
                    trip.journal.moving_on(previous.target.name, target.name, previous.reason)
                restarted = restarted and replace(restarted, to_target=target.name)
            if stop.wait is not None:
                yield Pause(stop.wait)
                if remaining(trip) <= 0:
                    raise_deadline(trip)
            left = yield from _visit(trip, target, behind, restarted, stop.again)
            if not isinstance(left, Left):
                journal.finish("primary" if target is trip.targets[0] else "failover")
                return left.value if isinstance(left, Answered) else None
            if left.report is not None:
                raise_if_final(trip, target, behind, left.report)
                barred = bar_after(trip, target, left.report.fault) or barred
            if left.shown:
                restarted = StreamRestarted(target.name, "", left.reason)
            if left.again is not None and stop.again != left.again:
                hopes.append(left)
            previous = left
        if remaining(trip) <= 0:
            raise_deadline(trip)
        raise_all_failed(trip)
    except GeneratorExit:
        journal.finish("abandoned" if journal.relaying else "cancelled")
        raise
    except BaseException:
        journal.finish("raised")  # only if none of the above has said more
        raise


def _itinerary(trip: Trip, hopes: Sequence[Left]) -> Generator[Stop]:
    """Plan a visit to each target; then, once more, to whom there is hope for.

    That is the first at once, if the route would rather wait for it; at the end who was left
    under suspicion, the one whose wait ends soonest, and the last that only its breaker refused.
    """
    for position, target in enumerate(trip.targets):
        behind = trip.targets[position + 1 :]
        yield Stop(target, behind)
        asked = not position and any(left.again == "throttled" for left in hopes)
        if asked and (wait := worth_sitting_out(trip, behind)) is not None:
            yield Stop(target, behind, "throttled", wait)
    for left in tuple(hopes):
        if left.again == "suspected":
            yield Stop(left.target, (), "suspected")
    longest = min(trip.policy.rate_limit_wait, remaining(trip))
    throttled = (left.target for left in hopes if left.again == "throttled")
    waits = {target: target.health.retry_after or 0.0 for target in throttled}
    soonest = min(waits, key=waits.__getitem__, default=None)
    if soonest is not None and waits[soonest] < longest:
        yield Stop(soonest, (), "throttled", waits[soonest])
    worn = [left.target for left in hopes if left.again == "worn"]
    if worn and worn[-1].health.breaker.desperate:
        yield Stop(worn[-1], (), "worn")


def _visit(
    trip: Trip,
    target: Target,
    behind: Sequence[Target],
    restarted: StreamRestarted | None,
    again: Again | None,
) -> Visit:
    """Ask one target, and again where its fault, its budget and the time allow."""
    number = 0
    while True:
        left = yield from _attempt(trip, target, behind, number, restarted, worn=again == "worn")
        if not isinstance(left, Left):
            target.health.budget.earn()
            return left
        seconds = retry_delay(trip, target, behind, left, number)
        if seconds is None:
            return left
        trip.journal.retrying(target.name, left.reason, seconds)
        yield Pause(seconds)
        if remaining(trip) <= 0:
            return left
        number += 1


def _attempt(
    trip: Trip,
    target: Target,
    behind: Sequence[Target],
    number: int,
    restarted: StreamRestarted | None,
    *,
    worn: bool,
) -> Visit:
    """Admit, ask once, settle: the innermost step, and the only one that holds anything."""
    if (refused := (yield from _door(trip, target, behind, worn=worn))) is not None:
        return _skip(trip, target, refused)
    ticket: Ticket | None = None
    permit: Permit | None = None
    began = trip.clock()
    try:
        if (bulkhead := target.health.bulkhead) is not None:
            if (refused := doubted(trip, target, behind)) is not None:
                return _skip(trip, target, refused)
            ticket = bulkhead.enter(patience(trip, target, behind), trip.call.priority)
            if ticket.state == "waiting":
                yield Queue(ticket, ticket.patience)
            if ticket.state != "granted" or remaining(trip) <= 0:
                return _skip(trip, target, saturated(target, ticket))
        allowed = limits(trip, target, behind)
        streamed = trip.call.stream or gathers(trip, target, behind)
        admitted = permit_for(trip, target, behind, allowed, worn=worn, streamed=streamed)
        if isinstance(admitted, TargetSkipped):
            return _skip(trip, target, admitted)
        permit = admitted
        if permit.trial:
            streamed = streamed or gathers(trip, target, behind, trial=True)
            allowed = trial_limits(trip, target, behind, allowed, streamed=streamed)
        trip.journal.starting(target, number, permit.state)
        began = trip.clock()
        outcome: Outcome | None = forced.outcome_for(target) if forced.active else None
        if outcome is None:
            outcome = yield asking(trip, target, allowed, number, permit, streamed=streamed)
        shown = isinstance(outcome, Opened)
        if shown:
            heard(trip, target, permit, began)
            trip.journal.opened(target, began)
            outcome = yield Relay(restarted)
        outcome = judged(trip, target, outcome)
        if ticket is not None and not isinstance(outcome, Failed):
            ticket.served()
        return _settle(trip, target, number, began, permit, outcome, shown, last=not behind)
    finally:
        if permit is not None:
            permit.release()  # nothing left to give back, unless the call was abandoned
        if ticket is not None:
            ticket.release()


def _door(
    trip: Trip, target: Target, behind: Sequence[Target], *, worn: bool
) -> Generator[Step, Outcome | None, TargetSkipped | None]:
    """Return why the call is turned away, if it is; it may wait a moment for its fleet's trial."""
    refused = refusal(trip, target, worn=worn)
    if not isinstance(refused, CircuitOpen):
        return refused
    target.health.breaker.ask()  # its fleet hears that a trial is wanted here
    if (turn := target.health.breaker.turn()) is None:
        return refused
    try:  # a trial needs its time as well
        yield Queue(turn, min(turn.patience, allowance(trip, behind) / 2))
    finally:
        turn.release()
    return refusal(trip, target)


def _skip(trip: Trip, target: Target, refused: TargetSkipped) -> Left:
    record = SkipRecord(refused.target, refused.reason, refused.retry_after, refused.detail)
    trip.journal.passed_over(refused, record)
    return Left(target, refused.reason, again=hope(refused))


def _settle(
    trip: Trip,
    target: Target,
    number: int,
    began: float,
    permit: Permit,
    outcome: Answered | Ended | Failed,
    shown: bool,
    last: bool,
) -> Answered | Ended | Left:
    """Give the breaker its verdict and write the attempt down."""
    state = permit.state
    if not isinstance(outcome, Failed):
        target.health.answered_at = now = trip.clock()
        permit.success(seconds := max(0.0, now - began - outcome.facts.own))
        if not shown:
            target.health.usual.answer.note(seconds)
        trip.journal.answered(target, number, began, state, outcome.facts, permit.moved)
        target.health.told.has_read(outcome.facts.prompt_tokens or 0)
        _watch_lifecycle(trip, target, outcome.facts)
        return outcome
    report = outcome.report
    rule = RULES[report.fault]
    if report.window is not None:
        target.health.limit(report.window)
    if rule.breaker is Effect.COUNTS:
        permit.failure(report.error, report.own)
        if report.retry_after is not None:
            target.health.hold(report.retry_after)
    elif rule.breaker is Effect.OPENS:
        opened = permit.trip(report.fault, break_for(report))
        if opened and rule.alert:
            events.alert(target.name, report.fault, report.evidence or rule.meaning)
    else:
        permit.release()
    trip.journal.failed(target, number, began, state, report, permit.moved)
    if shown and (trip.policy.on_interrupt == "raise" or outcome.tool_begun or last):
        trip.journal.finish("interrupted")
        raise StreamInterrupted(
            target.name, report.fault, outcome.partial, trip.journal.receipt()
        ) from report.error
    throttled = report.fault is Fault.RATE_LIMITED or target.health.asked_to_wait is not None
    again: Again | None = "throttled" if throttled else None
    return Left(target, report.fault, report, shown, again, trip.clock() - began)


def _watch_lifecycle(trip: Trip, target: Target, facts: Facts) -> None:
    """Keep what an answer announced of its model's end, and warn of it in time."""
    lifecycle = target.health.lifecycle
    if facts.notice is not None:
        lifecycle.note(facts.notice)
    if (near := lifecycle.due_warning(trip.journal.started_at)) is not None:
        use = f"; use {near.replacement}" if near.replacement else ""
        message = f"{target.model} retires on {near.day} (by {near.source}){use}"
        events.alert(target.name, "retirement_near", message)


def _nobody_is_barred(target: Target) -> TargetSkipped | None:
    return None
