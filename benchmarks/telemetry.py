"""What telemetry adds to a call that goes well: asleep, with log handlers, with the SDK."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Tracer

from benchmarks.measure import US, Figure, each, less, settle, steadily
from benchmarks.noop import CHUNK, Noop, route_to
from benchmarks.rows import Row
from pilotlight import events
from pilotlight.core.provider import Answered, Attempt, Call, Facts
from pilotlight.routes.route import Route
from pilotlight.telemetry import environment, switch
from pilotlight.telemetry.signals import Signals

TIMES = 80
ROUNDS = 9
WITHOUT, WITH = 25e-6, 150e-6
PORTIONS = [{f"a.name.of.usual.length.{n}": "value" for n in range(size)} for size in (1, 9, 5, 6)]
ASK = [{"role": "user", "content": "hi"}]
ANSWER = Answered(CHUNK, Facts("noop-1", 10, 20, "stop", 200))


class Telling(Noop):
    """Answers at once, and tells its tokens: they are measured too."""

    def complete(self, call: Call, attempt: Attempt) -> Answered:
        return ANSWER


class Nowhere(SpanExporter):
    """Takes what it is given."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def rows() -> list[Row]:
    """Measure; without telemetry is without even the question whether anybody hears."""
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    whole, alone = Signals(tracers, meters), Signals(tracers)
    shapes = _shapes(route_to(Telling()))
    collected: list[float] = []
    cases: dict[str, Callable[[], float]] = {
        "handler": partial(_case, shapes["complete"], handler=logging.StreamHandler()),
        "spans": partial(_case, shapes["complete"], signals=lambda: alone),
        "bare": partial(each, partial(_two_spans, tracers.get_tracer("bare")), TIMES),
    }
    for shape, call in shapes.items():
        cases[f"without {shape}"] = partial(_case, call, attend=lambda _ctx: None)
        cases[f"asleep {shape}"] = partial(_case, call)
        cases[f"whole {shape}"] = partial(_measured, call, lambda: whole, reader, collected)
    settle()
    found = steadily(cases, ROUNDS)
    tracers.shutdown()
    meters.shutdown()
    named = [
        ("handler", "complete", "no SDK, a log handler at WARNING", WITHOUT),
        ("spans", "complete", "SDK, batch processor", None),
    ]
    for shape in shapes:
        named.append((f"asleep {shape}", shape, "no SDK, opentelemetry-api imported", WITHOUT))
        named.append((f"whole {shape}", shape, "SDK, batch processor and metrics", WITH))
    printed = [
        _row(f"{shape}: {told}", less(found, name, f"without {shape}"), limit)
        for name, shape, told, limit in named
    ]
    later = Figure(collected)
    told = "metrics, for each call, in the thread that collects"
    bare = Figure(found["bare"])
    return [
        *printed,
        Row("two spans of the SDK alone, with as many attributes", bare.told("us")),
        Row(f"telemetry adds to {told}", later.told("us"), values=later.values()),
    ]


def _two_spans(tracer: Tracer) -> None:
    """Make what a call makes: a span in a span, its attributes in two portions each."""
    outer = tracer.start_span("pilotlight.call r", attributes=PORTIONS[0])
    around = trace.set_span_in_context(outer)
    inner = tracer.start_span("chat m", around, SpanKind.CLIENT, PORTIONS[1])
    inner.set_attributes(PORTIONS[2])
    inner.end()
    outer.set_attributes(PORTIONS[3])
    outer.end()


def _measured(
    call: Callable[[], object],
    signals: Callable[[], Any],
    reader: InMemoryMetricReader,
    collected: list[float],
) -> float:
    """The same; and collect what the calls have left, which is another thread's time."""
    spent = _case(call, signals)
    began = time.perf_counter()
    reader.get_metrics_data()
    collected.append((time.perf_counter() - began) / TIMES)
    return spent


def _shapes(route: Route) -> dict[str, Callable[[], object]]:
    """Return a call of each shape; what the event loop costs is in all its states alike."""
    loop = asyncio.new_event_loop()

    async def drain() -> None:
        async for _ in route.astream(ASK):
            pass

    return {
        "complete": lambda: route.complete(ASK),
        "acomplete": lambda: loop.run_until_complete(route.acomplete(ASK)),
        "stream": lambda: list(route.stream(ASK)),
        "astream": lambda: loop.run_until_complete(drain()),
    }


def _case(
    call: Callable[[], object],
    signals: Callable[[], Any] = environment.signals,
    attend: Callable[[Any], None] = switch.attend,
    handler: logging.Handler | None = None,
) -> float:
    """Return the seconds of one call with telemetry in this state."""
    kept = environment.signals, switch.attend
    environment.signals, switch.attend = signals, attend
    if handler is not None:
        logging.getLogger().addHandler(handler)
    try:
        return each(call, TIMES)
    finally:
        environment.signals, switch.attend = kept
        if handler is not None:
            logging.getLogger().removeHandler(handler)
        events.listeners.clear()


def _row(told: str, added: Any, limit: float | None) -> Row:
    figure = f"telemetry adds to {told}"
    if limit is None:
        return Row(figure, added.told("us"), values=added.values())
    target = f"<= {limit * US:.0f} us"
    return Row(figure, added.told("us"), target, added.median <= limit, values=added.values())
