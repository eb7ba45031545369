"""The one road: what to do next with a call, decided in one place for all four shapes.

`failover_flow` is a generator.  It yields what should be done (`core/steps.py`)
and is sent what came of it; a driver (`core/drivers.py`) does the doing.  It
never waits, sleeps, touches a network or reads a clock it was not given.

Nesting, outermost first: deadline, failover, retry, bulkhead, breaker permit,
attempt.  Every permit and ticket is given back in a `finally`: a driver closes
the flow on every path, so cancellation, Ctrl-C and an abandoned stream all end
in `release`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn

from pilotlight import events
from pilotlight.core import backoff, drill
from pilotlight.core.breaker import Permit
from pilotlight.core.bulkhead import Ticket
from pilotlight.core.clock import Clock
from pilotlight.core.faults import RULES, Effect, Elsewhere, Fault
from pilotlight.core.receipt import Journal, SkipRecord
from pilotlight.core.steps import (
    Answered,
    Attempt,
    Call,
    Ended,
    Facts,
    Failed,
    Flow,
    Opened,
    Outcome,
    Pause,
    Queue,
    Relay,
    Report,
    Step,
    StreamRestarted,
    Timeouts,
)
from pilotlight.core.target import Target
from pilotlight.errors import (
    AllTargetsFailed,
    CircuitOpen,
    DeadlineExceeded,
    ProviderFault,
    StreamInterrupted,
    TargetSkipped,
)

SHARE = 0.25  # of the remaining time is kept for each target behind, unless it says otherwise
SHARES_AT_MOST = 0.5  # of the remaining time, for all of them together

_log = logging.getLogger("pilotlight")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route decides for its calls.

    `fail_over_on` adds faults whose rule is "by policy".  `rate_limit_wait` is
    the longest throttle, in seconds, worth sitting out when nobody else can
    answer.  `accept` may refuse an answer, which then counts as a fault.
    """

    on_interrupt: Literal["raise", "restart"] = "raise"
    fail_over_on: frozenset[Fault] = frozenset()
    rate_limit_wait: float = 5.0
    accept: Callable[[Any], bool] | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """One call on its way: what it is, whom it may ask, and who writes it down."""

    call: Call
    targets: Sequence[Target]
    policy: Policy
    clock: Clock
    journal: Journal
    random: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True, slots=True)
class Left:
    """A target was left without an answer: skipped, or asked in vain."""

    target: Target
    reason: str
    report: Report | None = None  # None: it was not asked
    shown: bool = False  # the caller has seen some of its text


Visit = Generator[Step, Outcome | None, Answered | Ended | Left]


def failover_flow(trip: Trip) -> Flow:
    """Try the targets in order and return the first good answer (None for a stream).

    Raises AllTargetsFailed, DeadlineExceeded, StreamInterrupted, or the
    provider's own exception when the mistake is the caller's.
    """
    journal = trip.journal
    throttled: list[Target] = []
    restarted: StreamRestarted | None = None
    previous: Left | None = None
    window = 0  # the prompt is known not to fit into so many tokens
    try:
        for target, behind in _itinerary(trip, throttled):
            if _remaining(trip) <= 0:
                _raise_deadline(trip)
            if window and (target.window() or 0) <= window:
                small = "its context window is not known to be larger"
                _skip(trip, target, TargetSkipped(target.name, "unsupported", detail=small))
                continue
            if previous is not None:
                if previous.target is not target:
                    _tell_failover(trip, previous, target)
                restarted = restarted and replace(restarted, to_target=target.name)
            if target in throttled:
                yield Pause(target.health.breaker.retry_after or 0.0)
            left = yield from _visit(trip, target, behind, restarted)
            if not isinstance(left, Left):
                journal.finish("primary" if target is trip.targets[0] else "failover")
                return left.value if isinstance(left, Answered) else None
            if left.report is not None:
                _raise_if_final(trip, target, behind, left.report, left.shown)
                if RULES[left.report.fault].elsewhere is Elsewhere.LARGER:
                    window = target.window() or 0
            if left.shown:
                restarted = StreamRestarted(target.name, "", left.reason)
            if left.reason == Fault.RATE_LIMITED:
                throttled.append(target)
            previous = left
        if _remaining(trip) <= 0:
            _raise_deadline(trip)
        _raise_all_failed(trip)
    except GeneratorExit:
        journal.finish("abandoned" if journal.relaying else "cancelled")
        raise
    except BaseException:
        journal.finish("raised")  # only if none of the above has said more
        raise


def _itinerary(
    trip: Trip, throttled: Sequence[Target]
) -> Generator[tuple[Target, Sequence[Target]]]:
    """Yield each target with those behind it; then, once more, one whose throttle ends soon."""
    for position, target in enumerate(trip.targets):
        yield target, trip.targets[position + 1 :]
    longest = min(trip.policy.rate_limit_wait, _remaining(trip))
    waits = {target: target.health.breaker.retry_after or 0.0 for target in throttled}
    soonest = min(waits, key=waits.__getitem__, default=None)
    if soonest is not None and waits[soonest] < longest:
        yield soonest, ()


def _visit(
    trip: Trip, target: Target, behind: Sequence[Target], restarted: StreamRestarted | None
) -> Visit:
    """Ask one target, and again where its fault, its budget and the time allow."""
    number = 0
    while True:
        left = yield from _attempt(trip, target, behind, number, restarted)
        if not isinstance(left, Left):
            target.health.budget.earn()
            return left
        seconds = _retry_delay(trip, target, left, number)
        if seconds is None:
            return left
        if events.listeners:
            events.emit(
                events.RetryScheduled(
                    trip.journal.call_id, trip.call.route, target.name, left.reason, seconds
                )
            )
        yield Pause(seconds)
        number += 1


def _attempt(
    trip: Trip,
    target: Target,
    behind: Sequence[Target],
    number: int,
    restarted: StreamRestarted | None,
) -> Visit:
    """Admit, ask once, settle: the innermost step, and the only one that holds anything."""
    if (refused := _refusal(trip, target)) is not None:
        return _skip(trip, target, refused)
    ticket: Ticket | None = None
    permit: Permit | None = None
    began = trip.clock()
    try:
        if target.health.bulkhead is not None:
            ticket = target.health.bulkhead.enter(_patience(trip, target, behind))
            if ticket.state == "waiting":
                yield Queue(ticket, _patience(trip, target, behind))
            if ticket.state != "granted" or _remaining(trip) <= 0:
                return _skip(trip, target, TargetSkipped(target.name, "saturated", ticket.retry_after))
        limits = _limits(trip, target, behind)
        try:
            permit = target.health.breaker.acquire(limits.total or 0.0)
        except CircuitOpen as opened:
            opened = CircuitOpen(target.name, opened.retry_after, opened.cause)
            return _skip(trip, target, opened)
        trip.journal.starting(target, number)
        began = trip.clock()
        outcome: Outcome | None = drill.outcome_for(target) if drill.active else None
        if outcome is None:
            outcome = yield Attempt(target, limits, number)
        shown = isinstance(outcome, Opened)
        if shown:
            trip.journal.relaying = True
            outcome = yield Relay(restarted)
        outcome = _judged(trip, target, outcome)
        return _settle(
            trip, target, number, began, permit, outcome, shown, last=not behind
        )
    finally:
        if permit is not None:
            permit.release()  # nothing left to give back, unless the call was abandoned
        if ticket is not None:
            ticket.release()


# Admission.


def _refusal(trip: Trip, target: Target) -> TargetSkipped | None:
    """Return why this target can't be asked; the first reason wins."""
    if trip.call.private and not target.local:
        return TargetSkipped(target.name, "residency", detail="a private call stays local")
    if missing := trip.call.needs & target.lacks:
        return TargetSkipped(target.name, "unsupported", detail=", ".join(sorted(missing)))
    if (gone := target.health.lifecycle.retired(trip.journal.started_at)) is not None:
        use = f", use {gone.replacement}" if gone.replacement else ""
        return TargetSkipped(target.name, "retired", detail=f"since {gone.day}{use}")
    if (wait := target.health.breaker.retry_after) is not None:
        return CircuitOpen(target.name, wait, target.health.breaker.reason)
    return None


def _skip(trip: Trip, target: Target, refused: TargetSkipped) -> Left:
    reason = refused.reason
    record = SkipRecord(refused.target, reason, refused.retry_after, refused.detail)
    trip.journal.passed_over(refused, record)
    if isinstance(refused, CircuitOpen) and refused.cause == Fault.RATE_LIMITED:
        reason = Fault.RATE_LIMITED  # its wait is known, and may be worth sitting out
    return Left(target, reason)


# Time.


def _remaining(trip: Trip) -> float:
    """Seconds until the call's deadline."""
    deadline = trip.call.deadline
    return float("inf") if deadline is None else deadline - trip.clock()


def _allowance(trip: Trip, behind: Sequence[Target]) -> float:
    """Seconds that this target may take, with a reserve for those behind that could answer."""
    remaining = _remaining(trip)
    if remaining == float("inf"):
        return remaining
    able = [target for target in behind if _refusal(trip, target) is None]
    shares = [remaining * SHARE if t.reserve is None else t.reserve for t in able]
    return remaining - min(sum(shares), remaining * SHARES_AT_MOST)


def _limits(trip: Trip, target: Target, behind: Sequence[Target]) -> Timeouts:
    """Return the clocks of an attempt that starts now."""
    allowed = _allowance(trip, behind)
    total = target.timeouts.total
    if allowed == float("inf") or (total is not None and total <= allowed):
        return target.timeouts
    return replace(target.timeouts, total=max(0.0, allowed))


def _patience(trip: Trip, target: Target, behind: Sequence[Target]) -> float | None:
    """Return how long the call may wait in the target's queue; None: as long as it takes."""
    return _limits(trip, target, behind).total


# What an outcome means.


def _judged(trip: Trip, target: Target, outcome: Outcome | None) -> Answered | Ended | Failed:
    """Apply the route's own judgement to an answer that the provider found good."""
    if isinstance(outcome, Ended | Failed):
        return outcome
    assert isinstance(outcome, Answered), f"a driver sent {outcome!r}"
    fault = None
    if Fault.MODEL_SUBSTITUTED in outcome.facts.flags:
        if Fault.MODEL_SUBSTITUTED in trip.policy.fail_over_on:
            fault = Fault.MODEL_SUBSTITUTED
    if trip.policy.accept is not None and not _accepts(trip.policy.accept, outcome.value):
        fault = Fault.REJECTED
    if fault is None:
        return outcome
    return Failed(Report(fault, ProviderFault(fault, target.name), status=outcome.facts.status))


def _accepts(accept: Callable[[Any], bool], answer: Any) -> bool:
    """Ask the caller's validator; one that breaks lets the answer through."""
    try:
        return bool(accept(answer))
    except Exception:
        _log.exception("the route's accept= raised; the answer is let through")
        return True


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
    state = "half-open" if permit.trial else "closed"
    if not isinstance(outcome, Failed):
        permit.success(trip.clock() - began)
        trip.journal.answered(target, number, began, state, outcome.facts)
        _watch_lifecycle(trip, target, outcome.facts)
        return outcome
    report = outcome.report
    rule = RULES[report.fault]
    if rule.breaker is Effect.COUNTS:
        permit.failure(report.error)
    elif rule.breaker is Effect.OPENS:
        wait = report.retry_after
        opened = permit.trip(report.fault, rule.break_for if wait is None else wait)
        if opened and rule.alert:
            events.alert(target.name, report.fault, report.evidence or rule.meaning)
    else:
        permit.release()
    trip.journal.failed(target, number, began, state, report)
    if shown and (trip.policy.on_interrupt == "raise" or outcome.tool_begun or last):
        trip.journal.finish("interrupted")
        raise StreamInterrupted(
            target.name, report.fault, outcome.partial, trip.journal.receipt()
        ) from report.error
    return Left(target, report.fault, report, shown)


def _watch_lifecycle(trip: Trip, target: Target, facts: Facts) -> None:
    """Keep what an answer announced of its model's end, and warn of it in time."""
    lifecycle = target.health.lifecycle
    if facts.notice is not None:
        lifecycle.note(facts.notice)
    if (near := lifecycle.due_warning(trip.journal.started_at)) is not None:
        use = f"; use {near.replacement}" if near.replacement else ""
        message = f"{target.model} retires on {near.day} (by {near.source}){use}"
        events.alert(target.name, "retirement_near", message)


def _retry_delay(trip: Trip, target: Target, left: Left, number: int) -> float | None:
    """Return the pause before asking the same target again, or None to leave it."""
    if left.report is None or left.shown:
        return None
    if number >= min(RULES[left.report.fault].retries, target.retry.attempts):
        return None
    seconds = backoff.delay(target.retry, number, trip.random)
    if seconds >= _remaining(trip):
        return None
    if target.health.breaker.retry_after is not None:  # it would be refused after the wait
        return None
    return seconds if target.health.budget.spend() else None


def _may_fail_over(trip: Trip, target: Target, behind: Sequence[Target], fault: Fault) -> bool:
    """Tell whether another target may answer after this fault."""
    match RULES[fault].elsewhere:
        case Elsewhere.YES | Elsewhere.LOCAL:
            return True  # where only local targets may follow, `private` refuses the others
        case Elsewhere.POLICY:
            return fault in trip.policy.fail_over_on
        case Elsewhere.LARGER:
            here = target.window()
            return here is not None and any((t.window() or 0) > here for t in behind)
        case _:
            return False


# The ways to end without an answer.


def _raise_if_final(
    trip: Trip, target: Target, behind: Sequence[Target], report: Report, shown: bool
) -> None:
    """Raise the provider's own exception where the table says that nobody else may answer."""
    if _may_fail_over(trip, target, behind, report.fault):
        return
    trip.journal.finish("raised")
    if len(trip.journal.attempts) > 1:
        report.error.add_note(f"pilotlight asked: {trip.journal.told}")
    raise report.error


def _raise_deadline(trip: Trip) -> NoReturn:
    trip.journal.finish("exhausted")
    receipt = trip.journal.receipt()
    cause = trip.journal.errors[-1] if trip.journal.errors else None
    raise DeadlineExceeded(
        f"the deadline of route {trip.call.route!r} passed before an answer: {trip.journal.told}", receipt
    ) from cause


def _raise_all_failed(trip: Trip) -> NoReturn:
    trip.journal.finish("exhausted")
    receipt = trip.journal.receipt()
    waits = [
        wait
        for target in trip.targets
        if not (trip.call.private and not target.local)
        and (wait := target.health.breaker.retry_after) is not None
    ]
    waits += [s.retry_after for s in receipt.skipped if s.reason == "saturated" and s.retry_after]
    soonest = min(waits, default=None)
    raise AllTargetsFailed(
        f"no target of route {trip.call.route!r} answered: {trip.journal.told}",
        trip.journal.errors,
        receipt,
        None if soonest == float("inf") else soonest,
    )


def _tell_failover(trip: Trip, previous: Left, target: Target) -> None:
    if events.listeners:
        events.emit(
            events.FailedOver(
                trip.journal.call_id,
                trip.call.route,
                previous.target.name,
                target.name,
                previous.reason,
            )
        )
