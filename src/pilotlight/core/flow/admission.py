"""Whether a target is asked now: the breaker's permit, suspicion, and who is asked once more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pilotlight.core.breaker.breaker import SUSPECTED
from pilotlight.core.breaker.permit import Permit
from pilotlight.core.breaker.policy import CALLS_FAILED, HEALTH_CHECK
from pilotlight.core.flow.context import CallContext, SecondChance
from pilotlight.core.flow.decisions import open_circuit, refusal
from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.errors import CircuitOpen, TargetSkipped
from pilotlight.vocabulary.faults import Fault

QUICK: Final = 2.0  # seconds that a trial may take in any case
LONG: Final = 15.0  # seconds that none takes, unless the target is usually so slow
SILENT_AT_MOST: Final = 1 / 3  # of its limit, before a call of an unknown target is a bad sign


def second_chance(refused: TargetSkipped) -> SecondChance | None:
    """Tell whether this target may be visited once more, when nobody else has answered."""
    if refused.reason == SUSPECTED:
        return "suspected"
    if refused.reason == "asked_to_wait":
        return "throttled"
    if not isinstance(refused, CircuitOpen):
        return None
    if refused.cause == Fault.RATE_LIMITED:
        return "throttled"
    return (
        "breaker_open" if refused.cause in CALLS_FAILED or refused.cause == HEALTH_CHECK else None
    )


def permit_for(
    ctx: CallContext,
    target: Target,
    behind: Sequence[Target],
    allowed: Timeouts,
    *,
    last_resort: bool,
    streamed: bool,
) -> Permit | TargetSkipped:
    """Return the breaker's permit, `last_resort` that of a last resort, or why there is none."""
    breaker, lease = target.health.breaker, allowed.total or 0.0
    if last_resort:
        return breaker.last_resort(lease) or open_circuit(target, breaker.retry_after)
    silence = usual_silence(target, allowed, streamed=streamed)
    try:
        return breaker.acquire(lease, patience=silence, wary=bool(behind))
    except CircuitOpen as opened:
        return open_circuit(target, opened.retry_after)
    except TargetSkipped as suspected:
        if any_able(ctx, behind):
            return TargetSkipped(target.name, suspected.reason)
    return permit_for(ctx, target, (), allowed, last_resort=last_resort, streamed=streamed)


def suspected_refusal(
    ctx: CallContext, target: Target, behind: Sequence[Target]
) -> TargetSkipped | None:
    """Return the refusal, where it need not be waited for, of a target that seems to have died."""
    if behind and target.health.breaker.suspected and any_able(ctx, behind):
        return TargetSkipped(target.name, SUSPECTED)
    return None


def any_able(ctx: CallContext, behind: Sequence[Target]) -> bool:
    """Tell whether one of those behind could be asked now."""
    return any(refusal(ctx, target) is None for target in behind)


def trial_limits(
    ctx: CallContext,
    target: Target,
    behind: Sequence[Target],
    allowed: Timeouts,
    *,
    streamed: bool,
) -> Timeouts:
    """Return the clocks of a trial: while others can answer, it may cost its caller little.

    A local model is not hurried, for its trial may have to load it.  Nor is an answer in one
    piece of which nothing is known: the whole of it may well take long.
    """
    if target.local or not any_able(ctx, behind):
        return allowed
    usual, number = target.health.usual, target.health.breaker.failed_trials
    if streamed:
        first = _hurried(usual.first_token.far or QUICK, allowed.first_token, number)
        return replace(allowed, connect=_least(allowed.connect, first), first_token=first)
    far = usual.answer.far
    return allowed if far is None else replace(allowed, total=_hurried(far, allowed.total, number))


def _hurried(far: float, limit: float | None, number: int) -> float:
    """Return how long a trial may take, after `number` that were too slow.

    What is far beyond the usual.  But every second may take twice as long, every fourth four
    times, and so on up to `LONG`: a model that is well, but slower than it was, passes one of
    them, and a dead one costs little on average.  Source of such limits: Luby, Sinclair,
    Zuckerman, "Optimal speedup of Las Vegas algorithms", 1993.
    """
    far = max(far, QUICK)
    times = max(1, number & -number)  # 1 2 1 4 1 2 1 8 ...
    return _least(limit, max(far, min(times * far, LONG)))


def _least(limit: float | None, most: float) -> float:
    return most if limit is None else min(limit, most)


def usual_silence(target: Target, allowed: Timeouts, *, streamed: bool) -> float:
    """Return for how many seconds an attempt may be silent and only be slow.

    While nothing is known of the target, a share of what it is allowed.
    """
    usual = target.health.usual
    far = (usual.first_token if streamed else usual.answer).far
    if far is not None:
        return far
    limit = allowed.first_token if streamed else allowed.total
    return math.inf if limit is None else limit * SILENT_AT_MOST
