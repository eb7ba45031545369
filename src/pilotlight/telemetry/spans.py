"""The spans of one call, and what is measured at their ends.

    pilotlight.call {route}      INTERNAL   what the application asked for
      chat {model}               CLIENT     one target, its retries included; or `embeddings`
        POST ...                            a client of the application's own, if it is instrumented

The call's span names no model and counts no tokens, so that nothing is counted twice.
A target that was not asked makes no span.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from pilotlight.core.flow.context import CallContext
from pilotlight.core.provider import Call
from pilotlight.core.target import Target
from pilotlight.telemetry import names, words
from pilotlight.telemetry.content import Content, as_json
from pilotlight.telemetry.interceptor import SPAN, provider_context
from pilotlight.telemetry.leg_end import LegEnd
from pilotlight.telemetry.signals import Facts, Signals, call_labels
from pilotlight.vocabulary.receipt import AttemptRecord, Receipt


@dataclass(slots=True)
class LegSpan:
    """One target's span, and the context that its provider's code runs in."""

    span: Span
    facts: Facts
    context: Context
    content: Content | None


class CallSpans:
    """The spans of one call; made when the call is, so that its context is the parent."""

    __slots__ = ("_call", "_last", "_parent", "_request", "_started", "signals", "trip")

    def __init__(self, signals: Signals, ctx: CallContext) -> None:
        self.signals = signals
        self.trip = ctx
        self._parent = otel.get_current()
        self._started = time.time_ns()
        self._call: Span | None = None
        self._request: dict[str, Any] | None = None
        self._last: Facts | None = None  # of the leg that has ended last
        signals.relieve()

    @property
    def call(self) -> Span:
        """The call's span; a stream that is never read has none."""
        if self._call is None:
            route = self.trip.call.route
            self._call = self.signals.tracer.start_span(
                f"{names.CALL_SPAN} {route}",
                self._parent,
                attributes={names.ROUTE: route},
                start_time=self._started,
                record_exception=False,
                set_status_on_exception=False,
            )
        return self._call

    def open_leg(self, target: Target, index: int, role: str, breaker: str) -> LegSpan:
        """Start a target's span."""
        if self._request is None:
            self._request = request_attributes(self.trip.call)
        facts = self.signals.facts(target, self.trip.call.operation)
        attributes = {
            **facts.start(self.trip.call.route, target.name, role),
            names.INDEX: index,
            names.STATE: words.state(breaker),
            **self._request,
        }
        span = self.signals.tracer.start_span(
            f"{facts.operation} {facts.model}",
            Context({**self._parent, SPAN: self.call}),
            SpanKind.CLIENT,
            attributes,
            self._links(target) if breaker == "half-open" else None,
            record_exception=False,
            set_status_on_exception=False,
        )
        call = self.trip.call
        content = Content(call) if self.signals.capture and not call.private else None
        context = provider_context(span, self._parent, is_local=target.is_local)
        return LegSpan(span, facts, context, content)

    def _links(self, target: Target) -> list[Link] | None:
        """Lead from a trial to the leg that tripped the breaker."""
        tripped = self.signals.trips.get(target.health.breaker)
        return None if tripped is None else [Link(tripped, {names.LINK: "breaker_trip"})]

    def tripped(self, target: Target, leg: LegSpan) -> None:
        """Remember the leg that opened its target's breaker."""
        self.signals.trips[target.health.breaker] = leg.span.get_span_context()

    def note(
        self, leg: LegSpan | None, happening: names.Happening, keys: Mapping[str, Any]
    ) -> SpanContext:
        """Add a happening to the leg's span, or the call's; return whose it is."""
        span = self.call if leg is None else leg.span
        if happening.on_span and self.signals.span_events and span.is_recording():
            span.add_event(
                happening.name, {happening.keys[key]: value for key, value in keys.items()}
            )
        return span.get_span_context()

    def close_leg(
        self, leg: LegSpan, duration: float, end: LegEnd, ended_ns: int | None = None
    ) -> None:
        """End a target's span and measure it."""
        span, record, self._last = leg.span, end.record, leg.facts
        if span.is_recording():
            span.set_attributes(end.attributes())
            if end.error is not None:
                told = end.error if record is None else words.description(record)
                span.set_status(Status(StatusCode.ERROR, told))
        if leg.content is not None:
            self._keep(leg, record)
        span.end(ended_ns)
        self.signals.measure(
            self.signals.record_leg, leg.facts, duration, end, span.get_span_context()
        )

    def _keep(self, leg: LegSpan, record: AttemptRecord | None) -> None:
        """Write message content down, for those who have asked for it."""
        assert leg.content is not None
        found = leg.content.attributes(record.finish_reason if record else None)
        if self.signals.capture.on_spans:
            leg.span.set_attributes(as_json(found))
        if self.signals.capture.on_events and found:
            from opentelemetry._logs import LogRecord, get_logger

            logger = get_logger(names.SCOPE, logger_provider=self.signals.loggers)
            logger.emit(
                LogRecord(
                    timestamp=time.time_ns(),
                    context=leg.context,
                    event_name=names.DETAILS,
                    attributes={**leg.facts.labels, **found},
                )
            )

    def close(self, receipt: Receipt, outcome: str, attempts: int, failovers: int) -> None:
        """End the call's span and measure the call."""
        failed = receipt.outcome in ("exhausted", "interrupted", "raised")
        error = words.call_error(receipt) if failed else None
        span = self.call
        served = receipt.served_by if outcome in ("primary", "failover") else None
        if span.is_recording():
            found: dict[str, Any] = {
                names.OUTCOME: outcome,
                names.ATTEMPTS: attempts,
                names.FAILOVERS: failovers,
            }
            if served is not None and self._last is not None:
                found[names.SERVED_TARGET] = served
                found[names.SERVED_PROVIDER] = self._last.provider
                found[names.SERVED_MODEL] = receipt.attempts[-1].served_model or self._last.model
            if error is not None:
                found[names.ERROR] = error
                span.set_status(Status(StatusCode.ERROR, error))
            span.set_attributes(found)
        span.end()
        labels = call_labels(receipt.route, outcome, served, error)
        self.signals.measure(
            self.signals.record_call, receipt.duration, labels, span.get_span_context()
        )


def request_attributes(call: Call) -> dict[str, Any]:
    """Return what the call asks for, where the conventions have a name for it."""
    found: dict[str, Any] = {names.STREAM: True} if call.stream else {}
    if call.operation == "image":
        found[names.OUTPUT_TYPE] = "image"
    options = call.options
    if not options:
        return found
    for option, name in names.NUMBERS.items():
        value = options.get(option)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    choices, stop, form = options.get("n"), options.get("stop"), options.get("response_format")
    if isinstance(choices, int) and choices != 1:
        found[names.CHOICES] = choices
    if stop and not call.private:
        words = (stop,) if isinstance(stop, str) else stop
        found[names.STOP] = tuple(str(word) for word in words)
    if form is not None:
        kind = form.get("type") if isinstance(form, Mapping) else "json_schema"
        found[names.OUTPUT_TYPE] = "text" if kind == "text" else "json"
    return found
