"""The ways in which a call ends without an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from pilotlight.core.flow.context import Trip
from pilotlight.core.flow.decisions import NO_SPACE, may_fail_over
from pilotlight.core.provider import Report
from pilotlight.core.target import Target
from pilotlight.errors import AllTargetsFailed, DeadlineExceeded
from pilotlight.vocabulary.faults import Fault


def raise_if_final(trip: Trip, target: Target, behind: Sequence[Target], report: Report) -> None:
    """Raise the provider's own exception where the table says that nobody else may answer."""
    if may_fail_over(trip, target, behind, report.fault):
        return
    trip.journal.finish("raised")
    if len(trip.journal.attempts) > 1:
        report.error.add_note(f"pilotlight asked: {trip.journal.told}")
    raise report.error


def raise_deadline(trip: Trip) -> NoReturn:
    """Say that the time is over, and what it went on."""
    trip.journal.finish("exhausted")
    receipt = trip.journal.receipt()
    cause = trip.journal.errors[-1] if trip.journal.errors else None
    raise DeadlineExceeded(
        f"the deadline of route {trip.call.route!r} passed before an answer: {trip.journal.told}",
        receipt,
    ) from cause


def raise_all_failed(trip: Trip) -> NoReturn:
    """Say of each target why it did not answer, and when to come back."""
    trip.journal.finish("exhausted")
    receipt = trip.journal.receipt()
    operation = trip.call.operation
    able = [t for t in trip.targets if not trip.call.private or t.boundary_for(operation) is None]
    full = {s.target: s.retry_after for s in receipt.skipped if s.reason == "saturated"}
    waits = [full.get(target.name) or target.health.retry_after for target in able]
    soonest = min((wait for wait in waits if wait is not None), default=None)
    retry_after = None if soonest == float("inf") else soonest
    mend = ""
    if full and retry_after is not None:
        mend = (
            f"; ask again in {retry_after:.1f} s, or give {' and '.join(full)} more "
            "`concurrency` or `queue` if the machine can carry it"
        )
    for attempt in receipt.attempts:
        if attempt.fault == Fault.AUTH_FAILED and attempt.status is None and attempt.evidence:
            mend += f"; {attempt.target}: {attempt.evidence}"  # it was not asked: no key
    if any(skip.detail == NO_SPACE for skip in receipt.skipped):
        mend += (
            "; for embeddings a target stands in for the first only where both declare the same "
            "`space`, as the same model does at two places"
        )
    raise AllTargetsFailed(
        f"no target of route {trip.call.route!r} answered: {trip.journal.told}{mend}",
        trip.journal.errors,
        receipt,
        retry_after,
    )
