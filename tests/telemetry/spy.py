"""Where telemetry arrives in these tests, and how it reads there."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pilotlight.telemetry.signals import Signals


@dataclass
class Lines(logging.Handler):
    """The records that reach the root logger."""

    records: list[logging.LogRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def named(self, name: str) -> list[logging.LogRecord]:
        return [each for each in self.records if each.event_name == name]


class Spy:
    """In-memory providers, and a way to them for pilotlight."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.details = InMemoryLogRecordExporter()
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self.details))
        self.signals = Signals(self.tracers, self.meters, self.loggers)
        self.tracer = self.tracers.get_tracer("the application")

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()
        self.loggers.shutdown()

    @property
    def spans(self) -> list[ReadableSpan]:
        """Our own finished spans, as they ended."""
        found = self.exporter.get_finished_spans()
        return [each for each in found if each.instrumentation_scope.name == "pilotlight"]

    @property
    def calls(self) -> list[ReadableSpan]:
        return [each for each in self.spans if each.name.startswith("pilotlight.call ")]

    @property
    def legs(self) -> list[ReadableSpan]:
        found = [each for each in self.spans if each.name.startswith("chat ")]
        return sorted(found, key=lambda span: span.attributes["pilotlight.attempt.index"])

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Every metric: labels and value, or for a histogram how many were counted."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: [
                (dict(point.attributes), getattr(point, "count", getattr(point, "value", None)))
                for point in metric.data.data_points
            ]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def as_told(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes, plain."""
    return dict(span.attributes or {})


def happened(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(each.name, dict(each.attributes or {})) for each in span.events]
