"""The way to OpenTelemetry: tracer, instruments, and what is known of each target for good.

Everything hangs on the API's proxies: a provider that is set later is honoured.

Histograms are not written to by the calls.  A call leaves its measurements here, and whoever
collects the metrics records them first, in its own thread.  That takes more than a third of
what telemetry costs off the call; and a stream that the garbage collector gives up, perhaps
inside one of the SDK's locks, has nothing to wait for.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.target import Target
from pilotlight.registry import REGISTRY, Registry
from pilotlight.telemetry import names
from pilotlight.telemetry.content import Capture
from pilotlight.telemetry.gauges import observe
from pilotlight.telemetry.interceptor import exemplar_context
from pilotlight.telemetry.words import provider_name
from pilotlight.version import __version__
from pilotlight.vocabulary.operations import Operation

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import SpanContext, TracerProvider

    from pilotlight.telemetry.leg_end import LegEnd

SPAN_EVENTS: Final = "PILOTLIGHT_SPAN_EVENTS"  # in the environment; "0": log lines only
MODELS_AT_MOST: Final = 16  # of one target that metrics tell apart: a provider may name any
WAITING_AT_MOST: Final = 4096  # measurements that nobody has collected yet
A_FEW: Final = 8  # of them, recorded by a call when there are more: most calls leave two

Labels = Mapping[str, str | int]
Measurement = tuple[Callable[..., None], tuple[Any, ...]]  # how to record it, and what


@dataclass(frozen=True, slots=True)
class Facts:
    """A target as telemetry writes it; each set of labels is made once."""

    provider: str
    model: str
    operation: str
    labels: Labels  # without a response model
    _known: dict[tuple[str | None, str | None, str | None], Labels] = field(default_factory=dict)
    _models: set[str] = field(default_factory=set)
    _starts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Target, operation: str = names.CHAT) -> Facts:
        """Gather what is known of a target, asked for this operation."""
        provider, model = provider_name(target.model), target.model.partition("/")[2]
        labels: dict[str, str | int] = {
            names.OPERATION: operation,
            names.PROVIDER: provider,
            names.REQUEST_MODEL: model,
        }
        address = urlsplit(target.base_url)
        if address.hostname:
            labels[names.SERVER] = address.hostname
            labels[names.PORT] = address.port or (80 if address.scheme == "http" else 443)
        return cls(provider, model, operation, labels)

    def measured(
        self, model: str | None = None, error: str | None = None, tokens: str | None = None
    ) -> Labels:
        """Return the labels of a measurement."""
        if model is not None and model not in self._models:
            if len(self._models) >= MODELS_AT_MOST:
                model = names.OTHER_MODEL
            self._models.add(model)
        key = (model, error, tokens)
        if (found := self._known.get(key)) is None:
            more = {names.RESPONSE_MODEL: model, names.ERROR: error, names.TOKEN_TYPE: tokens}
            found = {**self.labels, **{name: value for name, value in more.items() if value}}
            self._known[key] = found
        return found

    def start(self, route: str, target: str, role: str) -> dict[str, Any]:
        """Return what a leg's span has from its start in every call of this route."""
        if (found := self._starts.get((route, role))) is None:
            found = {
                **self.labels,
                names.ROUTE: route,
                names.TARGET: target,
                names.ROLE: role,
            }
            self._starts[route, role] = found
        return found


class Signals:
    """Tracer, instruments and the memory that calls share; without providers, the process's."""

    def __init__(
        self,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
        loggers: LoggerProvider | None = None,
        registry: Registry = REGISTRY,
    ) -> None:
        self.tracer = trace.get_tracer(names.SCOPE, __version__, tracers, names.SCHEMA)
        meter = metrics.get_meter(names.SCOPE, __version__, meters, names.SCHEMA)
        self.duration = _histogram(meter, names.DURATION)
        self.usage = _histogram(meter, names.USAGE)
        self.time_to_first = _histogram(meter, names.TIME_TO_FIRST)
        self.calls = _histogram(meter, names.CALLS)
        self.checks = _histogram(meter, names.CHECKS)
        self.failovers = _counter(meter, names.FAILOVER_COUNT)
        self.retries = _counter(meter, names.RETRY_COUNT)
        self.skips = _counter(meter, names.SKIPS)
        self.spend = _counter(meter, names.SPEND)
        self.transitions = _counter(meter, names.TRANSITIONS)
        observe(meter, registry, self.record)
        self.loggers = loggers
        self.capture = Capture.from_environment()
        self.span_events = os.environ.get(SPAN_EVENTS, "").strip() != "0"
        # The leg that tripped each breaker, for as long as the breaker lives.
        self.trips: WeakKeyDictionary[Breaker, SpanContext] = WeakKeyDictionary()
        self._facts: WeakKeyDictionary[Target, dict[Operation, Facts]] = WeakKeyDictionary()
        self._later: deque[Measurement] = deque()

    def measure(self, how: Callable[..., None], *what: Any) -> None:
        """Leave something to be recorded, and how."""
        self._later.append((how, what))

    def record(self, at_most: int = sys.maxsize) -> None:
        """Record what has been left, the oldest first."""
        with suppress(IndexError):  # there is no more, or another thread has taken the last one
            for _ in range(at_most):
                how, what = self._later.popleft()
                how(*what)

    def record_leg(self, facts: Facts, duration: float, end: LegEnd, where: SpanContext) -> None:
        """Record one target's part of a call."""
        context, record = exemplar_context(where), end.record
        model = record.served_model if record is not None else None
        self.duration.record(duration, facts.measured(model, end.error), context)
        if end.opened is not None:
            self.time_to_first.record(end.opened, facts.labels, context)
        if record is None:
            return
        tokens = {"input": record.prompt_tokens, "output": record.completion_tokens}
        for kind, count in tokens.items():
            if count is not None:
                self.usage.record(count, facts.measured(model, None, kind), context)

    def record_call(self, duration: float, labels: Labels, where: SpanContext) -> None:
        """Record a whole call."""
        self.calls.record(duration, labels, exemplar_context(where))

    def forget(self) -> None:
        """In a forked child: what the parent's calls have left is the parent's to record."""
        self._later.clear()

    def relieve(self) -> None:
        """Where metrics are collected too seldom or never, let a call record a few."""
        if len(self._later) > WAITING_AT_MOST:
            self.record(A_FEW)

    def trace_check(self, target: str, duration: float, told: Labels, error: str | None) -> None:
        """Make the span of a health check that has just ended: a root, for no call asked for it."""
        ended = time.time_ns()
        span = self.tracer.start_span(
            f"{names.CHECK_SPAN} {target}",
            Context(),
            attributes=told,
            start_time=ended - round(duration * 1e9),
        )
        if error is not None:
            span.set_status(StatusCode.ERROR, error)
        span.end(ended)

    def facts(self, target: Target, operation: Operation) -> Facts:
        """Return what is known of a target, asked for this operation."""
        known = self._facts.get(target)
        if known is None:
            known = self._facts[target] = {}
        if (found := known.get(operation)) is None:
            found = known[operation] = Facts.of(target, names.OPERATIONS[operation])
        return found


@lru_cache(maxsize=1024)
def call_labels(route: str, outcome: str, served: str | None, error: str | None) -> Labels:
    """Return the labels of a whole call."""
    labels = {names.ROUTE: route, names.OUTCOME: outcome}
    return labels | _given({names.SERVED_TARGET: served, names.ERROR: error})


def _given(labels: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value is not None}


def _histogram(meter: Any, row: names.Metric) -> Any:
    bounds: Iterable[float] = row.buckets
    return meter.create_histogram(
        row.name, row.unit, row.meaning, explicit_bucket_boundaries_advisory=list(bounds)
    )


def _counter(meter: Any, row: names.Metric) -> Any:
    return meter.create_counter(row.name, row.unit, row.meaning)
