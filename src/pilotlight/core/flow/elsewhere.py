"""Whether another target may answer after a fault, and which: what `vocabulary/faults.py` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.decisions import unsupported
from pilotlight.core.target import Target
from pilotlight.errors import TargetSkipped
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere, Fault
from pilotlight.vocabulary.residency_rules import ResidencyRule

# Reasons for which a target was passed over that might else have answered.
OUT: Final = frozenset(
    {"breaker_open", "suspected", "asked_to_wait", "saturated", "retired", "drill"}
)


def may_fail_over(ctx: CallContext, target: Target, behind: Sequence[Target], fault: Fault) -> bool:
    """Tell whether another target may answer after this fault."""
    match RULES[fault].elsewhere:
        case Elsewhere.YES | Elsewhere.LOCAL:
            return True
        case Elsewhere.POLICY:
            return fault in ctx.policy.fail_over_on
        case Elsewhere.LARGER:
            private = ctx.call.private
            able = (t for t in behind if not (private and t.boundary) and not unsupported(ctx, t))
            larger = any(not smaller(other, target.window()) for other in able)
            return larger or out_before(ctx, target)
        case _:
            return False


def out_before(ctx: CallContext, target: Target) -> bool:
    """Tell whether an earlier target was out: it might have taken the prompt that this one can't.

    Then the call has ended in an outage, and not by its caller's mistake alone.
    """
    record = ctx.recorder
    faults = [each.fault for each in record.attempts if each.target != target.name]
    if any(fault and RULES[fault].breaker is not Effect.IGNORES for fault in faults):
        return True
    return any(each.reason in OUT for each in record.skipped if each.target != target.name)


def bar_after(
    ctx: CallContext, target: Target, fault: Fault
) -> Callable[[Target], TargetSkipped | None] | None:
    """Return the rule that this fault lays on the targets behind, if it lays one."""
    elsewhere = RULES[fault].elsewhere
    if elsewhere is Elsewhere.LOCAL:
        return lambda other: (
            None
            if other.boundary_for(ctx.call.operation) is None
            else TargetSkipped(other.name, "residency", detail=ResidencyRule.AFTER_BOUNDARY)
        )
    if elsewhere is Elsewhere.LARGER:
        here = target.window()
        return lambda other: (
            TargetSkipped(other.name, "unsupported", detail="smaller context window")
            if smaller(other, here)
            else None
        )
    return None


def smaller(target: Target, window: int | None) -> bool:
    """Tell whether a target is known to have less room than another one."""
    own = target.window()
    return own is not None and window is not None and own < window
