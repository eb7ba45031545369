"""When an unstreamed chat is streamed underneath, and what is asked then.

The provider puts the answer together; the caller sees no difference, but for the clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from pilotlight.core.breaker.permit import Permit
from pilotlight.core.flow.admission import any_able
from pilotlight.core.flow.context import CallContext
from pilotlight.core.provider import Attempt, Timeouts
from pilotlight.core.target import Target

LATELY: Final = 2.0  # seconds for which an answer shows that a target is well: a busy one


def gathers(
    ctx: CallContext, target: Target, behind: Sequence[Target], *, trial: bool = False
) -> bool:
    """Tell whether this unstreamed chat is streamed underneath and its answer put together.

    So a silent target costs its caller `first_token`, and not `total`.  By itself ("auto") it
    is done only where that can help and has a reason: others could answer, and the target has
    not answered lately, or seems to be dying, or is on trial.  A target that is known to be well
    costs no chunk.
    """
    call, wish = ctx.call, ctx.policy.gather
    if wish == "never" or call.stream or call.operation != "chat" or not call.messages:
        return False
    if wish == "auto":
        health = target.health
        lately = ctx.clock() - health.answered_at < LATELY
        if lately and not trial and not health.breaker.doubtful:
            return False
        if not any_able(ctx, behind):
            return False
    return target.gathers(call, wish == "always")


def asking(
    ctx: CallContext,
    target: Target,
    allowed: Timeouts,
    number: int,
    permit: Permit,
    *,
    streamed: bool,
) -> Attempt:
    """Return what the driver is to do; of an answer that is gathered it is told when it begins."""
    interceptor = ctx.recorder.interceptor
    if not streamed or ctx.call.stream:
        return Attempt(target, allowed, number, interceptor)
    begun = partial(heard, ctx, target, permit, ctx.clock())
    return Attempt(target, allowed, number, interceptor, gather=True, heard=begun)


def heard(ctx: CallContext, target: Target, permit: Permit, began: float) -> None:
    """Take note of the first token."""
    permit.heard()
    target.health.usual.first_token.note(ctx.clock() - began)
