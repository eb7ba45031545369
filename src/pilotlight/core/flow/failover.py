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
from pilotlight.core.flow.admission import (
    permit_for,
    second_chance,
    suspected_refusal,
    trial_limits,
)
from pilotlight.core.flow.context import (
    CallContext,
    PlannedVisit,
    Policy,
    SecondChance,
    TargetOutcome,
)
from pilotlight.core.flow.decisions import (
    allowance,
    break_for,
    judged,
    limits,
    patience,
    refusal,
    remaining,
    retry_delay,
    saturated,
    with_losses,
    worth_sitting_out,
)
from pilotlight.core.flow.elsewhere import bar_after
from pilotlight.core.flow.endings import raise_all_failed, raise_deadline, raise_if_final
from pilotlight.core.flow.gather import asking, gathers, heard
from pilotlight.core.flow.spending import ESTIMATED, cost_of, reserve, settle
from pilotlight.core.flow.steps import (
    Flow,
    Outcome,
    Pause,
    Queue,
    Relay,
    Step,
    StreamRestarted,
    waiting,
)
from pilotlight.core.provider import Answered, Ended, Facts, Failed, Opened
from pilotlight.core.spending.ledger import Reservation
from pilotlight.core.target import Target
from pilotlight.errors import CircuitOpen, StreamInterrupted, TargetSkipped
from pilotlight.vocabulary.faults import RULES, Effect, Fault
from pilotlight.vocabulary.receipt import SkipRecord

__all__ = ["CallContext", "Policy", "failover_flow"]

TargetFlow = Generator[Step, Outcome | None, Answered | Ended | TargetOutcome]


def failover_flow(ctx: CallContext) -> Flow:
    """Try the targets in order and return the first good answer (None for a stream).

    Raises AllTargetsFailed, DeadlineExceeded, StreamInterrupted, or the
    provider's own exception when the mistake is the caller's.
    """
    recorder = ctx.recorder
    second_chances: list[TargetOutcome] = []
    restarted: StreamRestarted | None = None
    previous: TargetOutcome | None = None
    barred: Callable[[Target], TargetSkipped | None] = _nobody_is_barred
    try:
        for visit in _planned_visits(ctx, second_chances):
            target, behind = visit.target, visit.behind
            if remaining(ctx) <= 0:
                raise_deadline(ctx)
            if (refused := barred(target)) is not None:
                _skip(ctx, target, refused)
                continue
            if previous is not None:
                if previous.target is not target:
                    ctx.recorder.moving_on(previous.target.name, target.name, previous.reason)
                restarted = restarted and replace(restarted, to_target=target.name)
            if visit.wait is not None:
                yield Pause(visit.wait)
                if remaining(ctx) <= 0:
                    raise_deadline(ctx)
            left = yield from _visit(ctx, target, behind, restarted, visit.second_chance)
            if not isinstance(left, TargetOutcome):
                recorder.finish("primary" if target is ctx.targets[0] else "failover")
                return left.value if isinstance(left, Answered) else None
            if left.report is not None:
                raise_if_final(ctx, target, behind, left.report)
                barred = bar_after(ctx, target, left.report.fault) or barred
            if left.shown:
                restarted = StreamRestarted(target.name, "", left.reason)
            if left.second_chance is not None and visit.second_chance != left.second_chance:
                second_chances.append(left)
            previous = left
        if remaining(ctx) <= 0:
            raise_deadline(ctx)
        raise_all_failed(ctx)
    except GeneratorExit:
        recorder.finish("abandoned" if recorder.relaying else "cancelled")
        raise
    except BaseException:
        recorder.finish("raised")  # only if none of the above has said more
        raise


def _planned_visits(
    ctx: CallContext, second_chances: Sequence[TargetOutcome]
) -> Generator[PlannedVisit]:
    """Plan a visit to each target; then, once more, to those that get a second chance.

    That is the first at once, if the route would rather wait for it; at the end who was left
    under suspicion, the one whose wait ends soonest, and the last that only its breaker refused.
    """
    for position, target in enumerate(ctx.targets):
        behind = ctx.targets[position + 1 :]
        yield PlannedVisit(target, behind)
        asked = not position and any(left.second_chance == "throttled" for left in second_chances)
        if asked and (wait := worth_sitting_out(ctx, behind)) is not None:
            yield PlannedVisit(target, behind, "throttled", wait)
    for left in tuple(second_chances):
        if left.second_chance == "suspected":
            yield PlannedVisit(left.target, (), "suspected")
    longest = min(ctx.policy.rate_limit_wait, remaining(ctx))
    throttled = (left.target for left in second_chances if left.second_chance == "throttled")
    waits = {target: target.health.retry_after or 0.0 for target in throttled}
    soonest = min(waits, key=waits.__getitem__, default=None)
    if soonest is not None and waits[soonest] < longest:
        yield PlannedVisit(soonest, (), "throttled", waits[soonest])
    refused = [left.target for left in second_chances if left.second_chance == "breaker_open"]
    if refused and refused[-1].health.breaker.admits_last_resort:
        yield PlannedVisit(refused[-1], (), "breaker_open")


def _visit(
    ctx: CallContext,
    target: Target,
    behind: Sequence[Target],
    restarted: StreamRestarted | None,
    second_chance: SecondChance | None,
) -> TargetFlow:
    """Ask one target, and again where its fault, its budget and the time allow."""
    number = 0
    last_resort = second_chance == "breaker_open"
    while True:
        left = yield from _attempt(ctx, target, behind, number, restarted, last_resort=last_resort)
        if not isinstance(left, TargetOutcome):
            target.health.budget.earn()
            return left
        seconds = retry_delay(ctx, target, behind, left, number)
        if seconds is None:
            return left
        ctx.recorder.retrying(target.name, left.reason, seconds)
        yield Pause(seconds)
        if remaining(ctx) <= 0:
            return left
        number += 1


def _attempt(
    ctx: CallContext,
    target: Target,
    behind: Sequence[Target],
    number: int,
    restarted: StreamRestarted | None,
    *,
    last_resort: bool,
) -> TargetFlow:
    """Admit, ask once, settle: the innermost step, and the only one that holds anything."""
    if (
        refused := (yield from _refusal_at_the_door(ctx, target, behind, last_resort=last_resort))
    ) is not None:
        return _skip(ctx, target, refused)
    ticket: Ticket | None = None
    permit: Permit | None = None
    reserved: tuple[Reservation, ...] = ()
    began = ctx.clock()
    try:
        if (bulkhead := target.health.bulkhead) is not None:
            if (refused := suspected_refusal(ctx, target, behind)) is not None:
                return _skip(ctx, target, refused)
            ticket = bulkhead.enter(patience(ctx, target, behind), ctx.call.priority)
            if ticket.state == "waiting":
                yield Queue(ticket, ticket.patience)
            if ticket.state != "granted" or remaining(ctx) <= 0:
                return _skip(ctx, target, saturated(target, ticket))
        allowed = limits(ctx, target, behind)
        streamed = ctx.call.stream or gathers(ctx, target, behind)
        admitted = permit_for(
            ctx, target, behind, allowed, last_resort=last_resort, streamed=streamed
        )
        if isinstance(admitted, TargetSkipped):
            return _skip(ctx, target, admitted)
        permit = admitted
        if ctx.budgets:
            held = yield from reserve(ctx, target, lambda: allowance(ctx, behind) / 2)
            if isinstance(held, TargetSkipped):
                return _skip(ctx, target, held)
            reserved = held
        if permit.trial:
            streamed = streamed or gathers(ctx, target, behind, trial=True)
            allowed = trial_limits(ctx, target, behind, allowed, streamed=streamed)
        ctx.recorder.starting(target, number, permit.state)
        began = ctx.clock()
        outcome: Outcome | None = forced.outcome_for(target) if forced.active else None
        if outcome is None:
            outcome = yield asking(ctx, target, allowed, number, permit, streamed=streamed)
        shown = isinstance(outcome, Opened)
        if shown:
            heard(ctx, target, permit, began)
            ctx.recorder.opened(target, began)
            outcome = yield Relay(restarted)
        outcome = judged(ctx, target, outcome)
        if ticket is not None and not isinstance(outcome, Failed):
            ticket.served(outcome.facts.loading)
        last = not behind
        left = _settle(
            ctx, target, number, began, permit, outcome, shown=shown, reserved=reserved, last=last
        )
        reserved = ()
        return left
    finally:
        settle(reserved, None)  # nothing is left to settle, unless the call was abandoned
        if permit is not None:
            permit.release()  # nothing left to give back, unless the call was abandoned
        if ticket is not None:
            ticket.release()


def _refusal_at_the_door(
    ctx: CallContext, target: Target, behind: Sequence[Target], *, last_resort: bool
) -> Generator[Step, Outcome | None, TargetSkipped | None]:
    """Return why the call is turned away, if it is; it may wait a moment for its fleet's trial."""
    refused = refusal(ctx, target, last_resort=last_resort)
    if not isinstance(refused, CircuitOpen):
        return refused
    target.health.breaker.ask()  # its fleet hears that a trial is wanted here
    if (turn := target.health.breaker.turn()) is None:
        return refused
    yield from waiting(turn, allowance(ctx, behind) / 2)  # a trial needs its time as well
    return refusal(ctx, target)


def _skip(ctx: CallContext, target: Target, refused: TargetSkipped) -> TargetOutcome:
    record = SkipRecord(refused.target, refused.reason, refused.retry_after, refused.detail)
    ctx.recorder.passed_over(refused, record)
    return TargetOutcome(target, refused.reason, second_chance=second_chance(refused))


def _settle(
    ctx: CallContext,
    target: Target,
    number: int,
    began: float,
    permit: Permit,
    outcome: Answered | Ended | Failed,
    *,
    shown: bool,
    reserved: tuple[Reservation, ...],
    last: bool,
) -> Answered | Ended | TargetOutcome:
    """Give the breaker its verdict, the budgets their money, and write the attempt down."""
    state = permit.state
    cost, guess = cost_of(ctx, target, outcome, ctx.clock() - began)
    settle(reserved, cost)
    if not isinstance(outcome, Failed):
        target.health.answered_at = now = ctx.clock()
        elsewhere = outcome.facts.own + outcome.facts.loading
        permit.success(seconds := max(0.0, now - began - elsewhere))
        if not shown:
            target.health.usual.answer.note(seconds)
        facts = with_losses(ctx, outcome.facts)
        ctx.recorder.answered(target, number, began, state, facts, permit.moved, cost)
        target.health.told.has_read(outcome.facts.prompt_tokens or 0)
        _watch_lifecycle(ctx, target, outcome.facts)
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
        opened = permit.trip(report.fault, break_for(report), report.own)
        if opened and rule.alert:
            events.alert(target.name, report.fault, report.evidence or rule.meaning)
    else:
        permit.release()
    flags = (ESTIMATED,) if guess else ()
    ctx.recorder.failed(target, number, began, state, report, permit.moved, cost, flags)
    if shown and (ctx.policy.on_interrupt == "raise" or outcome.tool_begun or last):
        ctx.recorder.finish("interrupted")
        raise StreamInterrupted(
            target.name, report.fault, outcome.partial, ctx.recorder.receipt()
        ) from report.error
    throttled = report.fault is Fault.RATE_LIMITED or target.health.asked_to_wait is not None
    second_chance: SecondChance | None = "throttled" if throttled else None
    took = ctx.clock() - began
    return TargetOutcome(target, report.fault, report, shown, second_chance, took)


def _watch_lifecycle(ctx: CallContext, target: Target, facts: Facts) -> None:
    """Keep what an answer announced of its model's end, and warn of it in time."""
    lifecycle = target.health.lifecycle
    if facts.notice is not None:
        lifecycle.note(facts.notice)
    if (near := lifecycle.due_warning(ctx.recorder.started_at)) is not None:
        use = f"; use {near.replacement}" if near.replacement else ""
        message = f"{target.model} retires on {near.day} (by {near.source}){use}"
        events.alert(target.name, "retirement_near", message)


def _nobody_is_barred(target: Target) -> TargetSkipped | None:
    return None
