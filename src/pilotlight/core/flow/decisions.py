"""The single decisions of the flow, each a plain function of what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pilotlight.core.bulkhead.bulkhead import Ticket
from pilotlight.core.embedding_space import together
from pilotlight.core.flow.context import CallContext, TargetOutcome
from pilotlight.core.flow.spending import spent_budget
from pilotlight.core.flow.steps import Outcome
from pilotlight.core.provider import Answered, Ended, Facts, Failed, Report, Timeouts
from pilotlight.core.retry import policy
from pilotlight.core.target import Target
from pilotlight.errors import CircuitOpen, PilotlightError, ProviderFault, TargetSkipped
from pilotlight.plain import logger
from pilotlight.vocabulary.faults import RULES, Fault

SHARE = 0.25  # of the remaining time is kept for each target behind, unless it says otherwise
NO_SPACE = "space"  # not declared, or another one than the first target's
SHARES_AT_MOST = 0.5  # of the remaining time, for all of them together
LEAST_BREAK = 1.0  # seconds that a breaker opens for, though the provider says "at once"

_log = logger("pilotlight")


# Who may be asked.


def refusal(ctx: CallContext, target: Target, *, last_resort: bool = False) -> TargetSkipped | None:
    """Return why this target can't be asked; the first reason wins.

    It is also asked for plans, of targets that may never be called: it changes nothing.
    `last_resort`: that its breaker is open does not count.
    """
    if (unfit := _unfit(ctx, target)) is not None:
        return unfit
    if (wait := target.health.asked_to_wait) is not None:  # who may not ask wants no trial
        return TargetSkipped(target.name, "asked_to_wait", wait)
    if not last_resort and (wait := target.health.breaker.retry_after) is not None:
        return open_circuit(target, wait)
    spent = spent_budget(ctx, target) if ctx.budgets else None
    # Last: a game day refuses whoever would have been admitted.
    return spent or drilled(ctx, target)


def _unfit(ctx: CallContext, target: Target) -> TargetSkipped | None:
    """Return why this call is none for the target, however well it is."""
    if ctx.call.private and (rule := target.boundary_for(ctx.call.operation)) is not None:
        return TargetSkipped(target.name, "residency", detail=rule)
    if missing := unsupported(ctx, target):
        return TargetSkipped(target.name, "unsupported", detail=missing)
    if (gone := target.health.lifecycle.retired(ctx.recorder.started_at)) is not None:
        use = f", use {gone.replacement}" if gone.replacement else ""
        return TargetSkipped(target.name, "retired", detail=f"since {gone.day}{use}")
    if target.max_price is not None and (above := target.max_price.exceeded(target.price())):
        return TargetSkipped(target.name, "price", detail=above)
    return None


def drilled(ctx: CallContext, target: Target) -> TargetSkipped | None:
    """Return the refusal that a game day forces on this call, if one does."""
    if ctx.game_days is None:
        return None
    day = ctx.game_days.refusing(ctx.call.route, target, ctx.recorder.call_id)
    return None if day is None else TargetSkipped(target.name, "drill", detail=day.id)


def unsupported(ctx: CallContext, target: Target) -> str:
    """Return what the target certainly can't do for this call; empty: nothing is known of it."""
    if ctx.call.needs and (missing := ctx.call.needs & target.lacks()):
        return ", ".join(sorted(missing))
    if not same_space(ctx, target):
        return NO_SPACE
    room = target.room(ctx.call.options)
    if room is not None and ctx.prompt_size.exceeds(room):
        return "context"
    if (untold := ctx.unable.get(target)) is None:  # plans ask more than once about a call
        untold = ctx.unable[target] = target.unable(ctx.call)
    return untold


def same_space(ctx: CallContext, target: Target) -> bool:
    """Tell whether the target's vectors may stand in for those of the route's first target."""
    first = ctx.targets[0]
    return (
        ctx.call.operation != "embeddings" or target is first or together(first.space, target.space)
    )


def open_circuit(target: Target, wait: float | None) -> CircuitOpen:
    """Say that a breaker is open; by the target's own name, for breakers are shared."""
    forever = wait == float("inf")
    return CircuitOpen(target.name, None if forever else wait, target.health.breaker.reason)


def saturated(target: Target, ticket: Ticket) -> TargetSkipped:
    """Say that the target's bulkhead has no place, by the name that its own server would use."""
    fault = Fault.LOCAL_OVERLOADED if target.is_local else Fault.OVERLOADED
    return TargetSkipped(target.name, "saturated", ticket.retry_after, f"{fault}: {ticket.refusal}")


# How long it may take.


def remaining(ctx: CallContext) -> float:
    """Seconds until the call's deadline."""
    deadline = ctx.call.deadline
    return float("inf") if deadline is None else deadline - ctx.clock()


def allowance(ctx: CallContext, behind: Sequence[Target]) -> float:
    """Seconds that this target may take, with a reserve for those behind that could answer."""
    left = remaining(ctx)
    if left == float("inf"):
        return left
    able = [target for target in behind if refusal(ctx, target) is None]
    shares = [left * SHARE if t.time_reserve is None else t.time_reserve for t in able]
    return left - min(sum(shares), left * SHARES_AT_MOST)


def limits(ctx: CallContext, target: Target, behind: Sequence[Target]) -> Timeouts:
    """Return the clocks of an attempt that starts now."""
    total = patience(ctx, target, behind)
    return (
        target.timeouts if total == target.timeouts.total else replace(target.timeouts, total=total)
    )


def longest(ctx: CallContext, target: Target) -> float | None:
    """Return the seconds that one attempt may take: the target's, or fewer if the call says so."""
    own, asked = target.timeouts.total, ctx.call.timeout
    return own if asked is None else asked if own is None else min(own, asked)


def patience(ctx: CallContext, target: Target, behind: Sequence[Target]) -> float | None:
    """Return how long the call may wait and be served here; None: as long as it takes."""
    allowed = allowance(ctx, behind)
    total = longest(ctx, target)
    if allowed == float("inf") or (total is not None and total <= allowed):
        return total
    return max(0.0, allowed)


# What an outcome means.


def judged(ctx: CallContext, target: Target, outcome: Outcome | None) -> Answered | Ended | Failed:
    """Apply the route's own judgement to an answer that the provider found good."""
    if isinstance(outcome, Failed) and ctx.call.private:
        return discreet(ctx, target, outcome)
    if isinstance(outcome, Ended | Failed):
        return outcome
    assert isinstance(outcome, Answered), f"a driver sent {outcome!r}"
    fault = None
    other = Fault.MODEL_SUBSTITUTED
    if other in outcome.facts.flags and other in ctx.policy.fail_over_on:
        fault = other
    if ctx.policy.accept is not None and not accepts(ctx, outcome.value):
        fault = Fault.REJECTED
    if fault is None:
        return outcome
    return Failed(Report(fault, ProviderFault(fault, target.name), status=outcome.facts.status))


def accepts(ctx: CallContext, answer: Any) -> bool:
    """Ask the caller's validator; one that breaks lets the answer through."""
    assert ctx.policy.accept is not None
    try:
        return bool(ctx.policy.accept(answer))
    except Exception as error:
        # What it raised may quote the answer, which in a private call is nobody's business.
        told = None if ctx.call.private else error
        name = type(error).__name__
        _log.error("the route's accept= raised %s; the answer is let through", name, exc_info=told)
        return True


def discreet(ctx: CallContext, target: Target, failed: Failed) -> Failed:
    """Leave out of a private call's failure whatever may quote it.

    A provider's words may hold the prompt, or an answer that nobody has seen and so
    nobody can scrub; neither they nor its exception are kept.  What is said of an
    attempt without an answer is our own, and so is a complaint about the call itself.
    """
    report = failed.report
    kind = type(report.error)
    if issubclass(kind, PilotlightError) and issubclass(kind, ValueError):
        report.error.__cause__ = None  # a library's exception may quote the call
        return failed
    silent = report.status is None and bool(ctx.call.messages)
    away = report.fault is Fault.PRIVACY_BOUNDARY and (
        report.status is None or isinstance(report.error, ProviderFault)
    )
    said = f"HTTP {report.status}" if report.status else ""
    said = report.evidence if silent or away else said
    error = ProviderFault(report.fault, target.name, said, report.retry_after)
    name = f"{kind.__module__}.{kind.__qualname__}"
    quiet = replace(report, error=error, evidence=said, code=None, error_type=name)
    return replace(failed, report=quiet)


def with_losses(ctx: CallContext, facts: Facts) -> Facts:
    """Add to what an answer's API was not told what got lost of the caller's own words."""
    original = ctx.call.original
    if original is None or facts.relayed or not original.lost:
        return facts
    return replace(facts, lost=tuple(sorted({*facts.lost, *original.lost})))


def break_for(report: Report) -> float | None:
    """Return the seconds that a fault opens the breaker for: the provider's word, else the table's.

    A provider that refuses and says "again in no time" would be asked by every call.
    """
    wait = report.retry_after
    return RULES[report.fault].break_for if wait is None else max(LEAST_BREAK, wait)


def retry_delay(
    ctx: CallContext, target: Target, behind: Sequence[Target], left: TargetOutcome, number: int
) -> float | None:
    """Return the pause before asking the same target again, or None to leave it.

    If the target asked for a pause itself, one that might have been made anyway is made.
    """
    if left.report is None or left.shown:
        return None
    if not RULES[left.report.fault].retried or number >= target.retry.max_retries:
        return None
    asked = target.health.asked_to_wait or 0.0
    seconds = max(asked, policy.delay(target.retry, number, ctx.random))
    too_long = asked > policy.delay(target.retry, number, lambda: 1.0)
    if too_long or seconds >= remaining(ctx):
        return None
    if not worth_its_cost(ctx, target, behind, left.cost):
        return None
    if target.health.breaker.retry_after is not None:  # it would be refused after the wait
        return None
    return seconds if target.health.budget.spend() else None


def worth_its_cost(ctx: CallContext, target: Target, behind: Sequence[Target], cost: float) -> bool:
    """Tell whether an attempt that took so many seconds may be made a second time.

    Where nobody else can answer it is the only chance, if there is time for as much again.
    What has used up its whole `total` is as good as timed out, and that is not repeated.
    """
    left, total = remaining(ctx), longest(ctx, target)
    if cost < min(target.retry.only_under, left / 10):
        return True
    if cost >= left or (total is not None and cost >= total):
        return False
    return all(refusal(ctx, other) is not None for other in behind)


def worth_sitting_out(ctx: CallContext, behind: Sequence[Target]) -> float | None:
    """Return how long to wait for the first target, where the route would rather do that."""
    wait = ctx.targets[0].health.retry_after or 0.0
    if not behind or not ctx.policy.sit_out:
        return None
    return wait if wait <= ctx.policy.sit_out and wait < allowance(ctx, behind) else None
