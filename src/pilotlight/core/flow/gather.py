"""When an unstreamed chat is streamed underneath, and what is asked then.

The provider puts the answer together; the caller sees no difference, but for the clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from pilotlight.core.breaker.permit import Permit
from pilotlight.core.flow.admission import any_able
from pilotlight.core.flow.context import Trip
from pilotlight.core.provider import Attempt, Timeouts
from pilotlight.core.target import Target

LATELY: Final = 30.0  # seconds for which an answer shows that a target is well


def gathers(trip: Trip, target: Target, behind: Sequence[Target], *, trial: bool = False) -> bool:
    """Tell whether this unstreamed chat is streamed underneath and its answer put together.

    So a silent target costs its caller `first_token`, and not `total`.  By itself ("auto") it
    is done only where that can help and has a reason: others could answer, and the target has
    not answered lately, or seems to be dying, or is on trial.  A target that is known to be well
    costs no chunk.
    """
    call, wish = trip.call, trip.policy.gather
    if wish == "never" or call.stream or call.operation != "chat" or not call.messages:
        return False
    if wish == "auto":
        health = target.health
        lately = trip.clock() - health.answered_at < LATELY
        if lately and not trial and not health.breaker.doubtful:
            return False
        if not any_able(trip, behind):
            return False
    return target.gathers(call, wish == "always")


def asking(
    trip: Trip, target: Target, allowed: Timeouts, number: int, permit: Permit, *, streamed: bool
) -> Attempt:
    """Return what the driver is to do; of an answer that is gathered it is told when it begins."""
    shield = trip.journal.shield
    if not streamed or trip.call.stream:
        return Attempt(target, allowed, number, shield)
    begun = partial(heard, trip, target, permit, trip.clock())
    return Attempt(target, allowed, number, shield, gather=True, heard=begun)


def heard(trip: Trip, target: Target, permit: Permit, began: float) -> None:
    """Take note of the first token."""
    permit.heard()
    target.health.usual.first_token.note(trip.clock() - began)
