"""Whether a target is asked now: the breaker's permit, suspicion, and who is asked once more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pilotlight.core.breaker import SUSPECTED
from pilotlight.core.breaker_policy import HEALTH_CHECK, WORN
from pilotlight.core.faults import Fault
from pilotlight.core.permit import Permit
from pilotlight.core.rulings import open_circuit, refusal
from pilotlight.core.steps import Timeouts
from pilotlight.core.target import Target
from pilotlight.core.trip import Again, Trip
from pilotlight.errors import CircuitOpen, TargetSkipped

SILENT_AT_MOST: Final = 1 / 3  # of its limit, before a call of an unknown target is a bad sign


def hope(refused: TargetSkipped) -> Again | None:
    """Tell whether this target may be visited once more, when nobody else has answered."""
    if refused.reason == SUSPECTED:
        return "suspected"
    if not isinstance(refused, CircuitOpen):
        return None
    if refused.cause == Fault.RATE_LIMITED:
        return "throttled"
    return "worn" if refused.cause in WORN or refused.cause == HEALTH_CHECK else None


def permit_for(
    trip: Trip, target: Target, behind: Sequence[Target], allowed: Timeouts, *, worn: bool
) -> Permit | TargetSkipped:
    """Return the breaker's permit, `worn` that of a last resort, or why there is none."""
    breaker, lease = target.health.breaker, allowed.total or 0.0
    if worn:
        return breaker.last_resort(lease) or open_circuit(target, breaker.retry_after)
    silence = usual_silence(trip, target, allowed)
    try:
        return breaker.acquire(lease, patience=silence, wary=bool(behind))
    except CircuitOpen as opened:
        return open_circuit(target, opened.retry_after)
    except TargetSkipped as suspected:
        if any_able(trip, behind):
            return TargetSkipped(target.name, suspected.reason)
    return permit_for(trip, target, (), allowed, worn=worn)


def doubted(trip: Trip, target: Target, behind: Sequence[Target]) -> TargetSkipped | None:
    """Return the refusal, where it need not be waited for, of a target that seems to have died."""
    if behind and target.health.breaker.suspected and any_able(trip, behind):
        return TargetSkipped(target.name, SUSPECTED)
    return None


def any_able(trip: Trip, behind: Sequence[Target]) -> bool:
    """Tell whether one of those behind could be asked now."""
    return any(refusal(trip, target) is None for target in behind)


def usual_silence(trip: Trip, target: Target, allowed: Timeouts) -> float:
    """Return for how many seconds an attempt may be silent and only be slow.

    While nothing is known of the target, a share of what it is allowed.
    """
    usual, stream = target.health.usual, trip.call.stream
    far = (usual.first_token if stream else usual.answer).far
    if far is not None:
        return far
    limit = allowed.first_token if stream else allowed.total
    return math.inf if limit is None else limit * SILENT_AT_MOST
