"""The ways in which a call ends without an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.decisions import NO_SPACE
from pilotlight.core.flow.elsewhere import may_fail_over
from pilotlight.core.flow.spending import BUDGET
from pilotlight.core.provider import Report
from pilotlight.core.target import Target
from pilotlight.errors import AllTargetsFailed, DeadlineExceeded, quiet
from pilotlight.vocabulary.mends import mend
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt, SkipRecord


def raise_if_final(
    ctx: CallContext, target: Target, behind: Sequence[Target], report: Report
) -> None:
    """Raise the provider's own exception where the table says that nobody else may answer."""
    if may_fail_over(ctx, target, behind, report.fault):
        return
    ctx.recorder.finish("raised")
    if len(ctx.recorder.attempts) > 1:
        report.error.add_note(f"pilotlight asked: {ctx.recorder.told}")
    raise report.error


def raise_deadline(ctx: CallContext) -> NoReturn:
    """Say that the time is over, and what it went on."""
    ctx.recorder.finish("exhausted")
    receipt = ctx.recorder.receipt()
    cause = quiet(ctx.recorder.errors[-1]) if ctx.recorder.errors else None
    raise DeadlineExceeded(
        f"the deadline of route {ctx.call.route!r} passed before an answer: {ctx.recorder.told}",
        receipt,
    ) from cause


def raise_all_failed(ctx: CallContext) -> NoReturn:
    """Say of each target why it did not answer, and when to come back."""
    ctx.recorder.finish("exhausted")
    receipt = ctx.recorder.receipt()
    operation = ctx.call.operation
    able = [t for t in ctx.targets if not ctx.call.private or t.boundary_for(operation) is None]
    waiting = ("saturated", BUDGET)
    asked_back = {s.target: s.retry_after for s in receipt.skipped if s.reason in waiting}
    full = dict.fromkeys(s.target for s in receipt.skipped if s.reason == "saturated")
    waits = [asked_back.get(target.name) or target.health.retry_after for target in able]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    retry_after = None if soonest == float("inf") else soonest
    said = [f"no target of route {ctx.call.route!r} answered:", *_lines(ctx, receipt)]
    if full and retry_after is not None:
        said.append(
            f"  mend: ask again in {retry_after:.1f} s, or give {' and '.join(full)} more "
            "`concurrency` or `queue` if the machine can carry it"
        )
    if any(skip.detail == NO_SPACE for skip in receipt.skipped):
        said.append(
            "  mend: for embeddings a target stands in for the first only where both declare the "
            "same `space`, as the same model does at two places"
        )
    raise AllTargetsFailed("\n".join(said), ctx.recorder.errors, receipt, retry_after)


def _lines(ctx: CallContext, receipt: Receipt) -> Iterator[str]:
    """Yield a line for each target, in the order in which they were tried: why, and the mend."""
    mends: dict[str, dict[str, None]] = {}
    tried_or_not: list[AttemptRecord | SkipRecord] = [*receipt.attempts, *receipt.skipped]
    for record in tried_or_not:
        if found := mend(record):
            mends.setdefault(record.target, {})[found] = None
    tried: dict[str, list[str]] = {}
    for target, why in ctx.recorder.trail:
        tried.setdefault(target, []).append(why)
    for name, reasons in tried.items():
        told = f"  {name} {', then '.join(reasons)}"
        yield "; ".join([told, *mends.get(name, ())])
