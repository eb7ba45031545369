"""One call as telemetry follows it, by its events.

A leg stays open after a failed try until the next event says that the call has moved on:
the retries of one target belong to one span.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pilotlight import events
from pilotlight.core.flow.context import CallContext
from pilotlight.core.provider import NullInterceptor
from pilotlight.telemetry import logs, names, words
from pilotlight.telemetry.leg_end import LegEnd
from pilotlight.telemetry.legs import Leg
from pilotlight.telemetry.names import Happening
from pilotlight.vocabulary.receipt import AttemptRecord

if TYPE_CHECKING:
    from pilotlight.telemetry.spans import CallSpans


spend_tags: Final[set[str]] = set()
"""Tags of calls that the metric of spending has as attributes; `configure_telemetry` names them."""


class CallTrace(NullInterceptor):
    """One call, followed by its events; what its providers do is let be."""

    __slots__ = ("_ctx", "_failovers", "_leg", "_legs", "_spans")

    def __init__(self, ctx: CallContext, spans: CallSpans | None) -> None:
        self._ctx = ctx
        self._spans = spans
        self._leg: Leg | None = None
        self._legs = 0
        self._failovers = 0

    def hear(self, event: events.CallEvent) -> None:
        """Follow one event."""
        _FOLLOW[type(event)](self, event)

    def attempt_started(self, event: events.AttemptStarted) -> None:
        """Begin a leg; or, for a retry, go on with it."""
        if event.number and self._leg is not None:
            self._leg.failed = None
            return
        self._leave()
        target = next(each for each in self._ctx.targets if each.name == event.target)
        role = words.ROLES[target is not self._ctx.targets[0]]
        leg = Leg(target, self._legs, role, self._ctx.clock())
        if self._spans is not None:
            leg.span = self._spans.open_leg(target, leg.index, role, event.breaker)
        self._leg = leg
        self._legs += 1

    def stream_opened(self, event: events.StreamOpened) -> None:
        """Note when a stream gave its first content."""
        if self._leg is not None:
            self._leg.opened = event.after

    def attempt_ended(self, event: events.AttemptEnded) -> None:
        """End the leg that answered; one that failed may be tried again."""
        leg, record = self._leg, event.record
        if leg is None:
            return
        if event.moved:
            self._moved(leg, record)
        leg.ended, leg.ended_ns = self._ctx.clock(), time.time_ns()
        if record.cost and self._spans is not None:
            labels = {names.ROUTE: event.route, names.TARGET: record.target}
            tags = self._ctx.recorder.tags
            labels.update({f"{names.TAG}{each}": tags.get(each, "") for each in spend_tags})
            self._spans.signals.spend.add(record.cost, labels)
        if record.fault is None:
            self._close(leg, LegEnd(record, None, leg.retries, leg.opened))
        else:
            leg.failed = record

    def retry_scheduled(self, event: events.RetryScheduled) -> None:
        """Note that the same target is asked again."""
        leg = self._leg
        if leg is None or leg.failed is None:
            return
        leg.retries += 1
        error = words.error_type(leg.failed)
        told = {"error_type": error, "delay_s": event.delay, "retries": leg.retries}
        self._note(names.RETRY, told, leg)
        if self._spans is not None:
            labels = {names.TARGET: event.target, names.ERROR: error}
            self._spans.signals.retries.add(1, labels)

    def skipped(self, event: events.TargetSkipped) -> None:
        """Note that a target was not asked."""
        self._leave()
        reason = words.one_of(event.reason, words.SKIP_REASONS)
        self._note(names.SKIPPED, {"target": event.target, "reason": reason})
        if self._spans is not None:
            labels = {names.TARGET: event.target, names.SKIP_REASON: reason}
            self._spans.signals.skips.add(1, labels)

    def residency_refused(self, event: events.ResidencyRefused) -> None:
        """Note that the prompt was kept from a target: from the start, or in its leg."""
        leg = self._leg if self._leg is not None and self._leg.failed is not None else None
        self._note(names.REFUSED, {"target": event.target, "rule": str(event.rule)}, leg)

    def failed_over(self, event: events.FailedOver) -> None:
        """Note that the call moves on."""
        self._leave()
        self._failovers += 1
        reason = words.one_of(event.reason, words.FAILOVER_REASONS)
        told = {"from_target": event.from_target, "to_target": event.to_target, "reason": reason}
        self._note(names.FAILOVER, told)
        if self._spans is not None:
            labels = {names.FAILOVER.keys[key]: value for key, value in told.items()}
            self._spans.signals.failovers.add(1, {names.ROUTE: event.route, **labels})

    def ended(self, event: events.CallEnded) -> None:
        """End whatever is open."""
        receipt = event.receipt
        leg, outcome = self._leg, words.one_of(receipt.outcome, words.OUTCOMES)
        if leg is not None and leg.failed is None:  # given up in the middle of it
            error = words.OTHER_ERROR if receipt.outcome == "raised" else None
            left = "abandoned" if outcome == "abandoned" else None
            self._close(leg, LegEnd(None, error, leg.retries, leg.opened, left))
        self._leave()
        exhausted = outcome == "exhausted"
        happening = names.EXHAUSTED if exhausted else names.COMPLETED
        level = logging.DEBUG if outcome == "primary" else happening.level
        if logs.wanted(happening, level):
            told: dict[str, Any] = {"outcome": outcome, "attempts": self._legs}
            told |= {"failovers": self._failovers, "duration_s": receipt.duration}
            self._note(happening, told, level=level)
        if self._spans is not None:
            self._spans.close(receipt, outcome, self._legs, self._failovers)

    def _leave(self) -> None:
        """End the leg whose last try failed."""
        leg = self._leg
        if leg is None or (record := leg.failed) is None:
            return
        error = words.error_type(record)
        told = {"error_type": error, "reason": str(record.fault)}
        self._note(names.ATTEMPT_FAILED, told, leg)
        outcome = None
        if leg.opened is not None:
            outcome = "interrupted"
            self._note(names.INTERRUPTED, told, leg)
        self._close(leg, LegEnd(record, error, leg.retries, leg.opened, outcome))

    def _close(self, leg: Leg, end: LegEnd) -> None:
        self._leg = None
        if self._spans is not None and leg.span is not None:
            ended = self._ctx.clock() if leg.ended is None else leg.ended
            self._spans.close_leg(leg.span, ended - leg.began, end, leg.ended_ns)

    def _moved(self, leg: Leg, record: AttemptRecord) -> None:
        """Note on the leg's span that it moved the breaker; the line is written already."""
        if self._spans is None or leg.span is None:
            return
        new = "closed" if record.fault is None else "open"
        if new == "open":
            self._spans.tripped(leg.target, leg.span)
        why = leg.target.health.breaker.reason or "trial_succeeded"
        told = {
            "target": leg.target.name,
            "from_state": words.state(record.breaker),
            "to_state": new,
            "reason": words.transition_reason(record.breaker, new, why),
        }
        self._spans.note(leg.span, names.TRANSITION, told)

    def _note(
        self,
        happening: Happening,
        told: Mapping[str, Any],
        leg: Leg | None = None,
        level: int | None = None,
    ) -> None:
        """Tell a happening once: to the span it belongs to, and as a log line."""
        keys: dict[str, Any] = {}
        if self._spans is not None:
            whose = self._spans.note(leg.span if leg is not None else None, happening, told)
            if whose.is_valid:
                keys = {"trace_id": f"{whose.trace_id:032x}", "span_id": f"{whose.span_id:016x}"}
        if not logs.wanted(happening, level or happening.level):
            return
        keys["route"] = self._ctx.call.route
        if leg is not None:
            keys |= _who(leg)
        logs.say(happening, keys | dict(told), level)


_FOLLOW: Final[Mapping[type, Callable[[CallTrace, Any], None]]] = {
    events.AttemptStarted: CallTrace.attempt_started,
    events.StreamOpened: CallTrace.stream_opened,
    events.AttemptEnded: CallTrace.attempt_ended,
    events.RetryScheduled: CallTrace.retry_scheduled,
    events.TargetSkipped: CallTrace.skipped,
    events.ResidencyRefused: CallTrace.residency_refused,
    events.FailedOver: CallTrace.failed_over,
    events.CallEnded: CallTrace.ended,
}


def _who(leg: Leg) -> dict[str, Any]:
    return {
        "target": leg.target.name,
        "provider": words.provider_name(leg.target.model),
        "model": leg.target.model.partition("/")[2],
        "attempt": leg.index,
        "role": leg.role,
    }
