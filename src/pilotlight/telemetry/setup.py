"""`configure_telemetry`: the one place that imports the SDK and sets providers.

Exporting goes on in threads of the SDK's own: a collector that is slow, gone or refusing
costs a call nothing.  At the end of the process what is left is sent, for a bounded time.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pilotlight import extras
from pilotlight.errors import ConfigError
from pilotlight.telemetry import call_trace, environment, listener, names, targets

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

FLUSH: Final = 3.0  # seconds that the end of the process may wait for a collector
EXPORT: Final = 5.0  # seconds for one batch
PROMETHEUS_HOST: Final = (
    "OTEL_EXPORTER_PROMETHEUS_HOST"  # in the environment, as OpenTelemetry has it
)
METRICS: Final = "OTEL_METRICS_EXPORTER"  # "none": a collector that takes only traces

_logger = logging.getLogger("pilotlight")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `configure_telemetry` was asked for."""

    service_name: str
    otlp_endpoint: str | None = None
    prometheus_port: int | None = None
    json_logs: bool = True
    openinference: bool = False
    trace_health_checks: bool = False
    spend_tags: tuple[str, ...] = ()

    def differs_by_port(self, other: Settings) -> bool:
        """Tell whether both serve the metrics, and only the port is not the same."""
        ports = (self.prometheus_port, other.prometheus_port)
        return None not in ports and replace(self, prometheus_port=ports[1]) == other


def configure_telemetry(
    service_name: str,
    otlp_endpoint: str | None = None,
    prometheus_port: int | None = None,
    json_logs: bool = True,
    openinference: bool = False,
    trace_health_checks: bool = False,
    spend_tags: Sequence[str] = (),
) -> None:
    """Set OpenTelemetry up for a process that has not done so itself.

    `otlp_endpoint` is a collector's address, such as `http://localhost:4318`: spans and
    metrics go there (extra `otlp`).  `prometheus_port` serves the metrics on this machine
    (extra `prometheus`).  `json_logs` writes pilotlight's own lines to stderr as JSON,
    from level INFO.  `openinference` marks the spans of calls as chains, for Phoenix.
    `trace_health_checks` makes a span of each check, which are otherwise only measured.
    `spend_tags` names tags of calls that `pilotlight.spend` has as attributes: each value that
    one can have is a series of its own, so name such as have few.

    A provider that is set already stays, with a warning.  A forked child may call this
    again for a Prometheus port of its own.  `PILOTLIGHT_TELEMETRY=off` in the environment
    makes this do nothing.

    Raises ConfigError if an exporter is not installed, or an address is none.
    """
    settings = Settings(
        service_name,
        otlp_endpoint,
        prometheus_port,
        json_logs,
        openinference,
        trace_health_checks,
        tuple(spend_tags),
    )
    if not environment.switched_off():
        apply(settings)


_applied: list[Settings] = []
_shown: list[bool] = []  # not empty: the metrics are shown on a page of the application's own


def show_metrics() -> None:
    """Have `prometheus_client` know the metrics, for an application that shows them itself.

    To be called before the configuration is loaded; `show_metrics_anyway` after it.
    """
    if not environment.switched_off():
        _shown.append(True)


def show_metrics_anyway(service_name: str) -> None:
    """Set metrics up that are shown and sent nowhere, if no `[telemetry]` has done more."""
    if _shown and not _applied:
        apply(Settings(service_name, json_logs=False))


def apply(settings: Settings) -> None:
    """Do it; the same settings a second time do nothing."""
    if settings in _applied:
        return
    if settings.prometheus_port and any(map(settings.differs_by_port, _applied)):
        _serve(settings.prometheus_port)
        _applied.append(settings)
        return
    readers, exporters = _parts(settings)  # whatever is missing is said before anything is set
    extras.need("opentelemetry.sdk", "otel", "telemetry")
    if settings.json_logs:
        extras.need("structlog", "otel", "json_logs")
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.resources import Resource

    named = {"service.name": settings.service_name}
    if settings.openinference:
        named["openinference.project.name"] = settings.service_name
    resource = Resource.create(named)
    made = []
    if _set_already(trace.get_tracer_provider()):
        _logger.warning(_KEPT, "tracer")
    else:
        made.append(_tracers(resource, exporters, settings.openinference))
        trace.set_tracer_provider(made[-1])
    if _set_already(metrics.get_meter_provider()):
        _logger.warning(_KEPT, "meter")
    else:
        made.append(_meters(resource, [make() for make in readers]))
        metrics.set_meter_provider(made[-1])
    atexit.register(_flush, made)
    if settings.json_logs:
        _write_json()
    targets.trace_checks |= settings.trace_health_checks
    call_trace.spend_tags.update(settings.spend_tags)
    listener.awaken()
    environment.signals()  # what is looked at is there to be seen before the first call
    _applied.append(settings)


_KEPT: Final = (
    "configure_telemetry: this process has a %s provider already, which stays; "
    "call configure_telemetry alone, or not at all"
)


def _set_already(provider: object) -> bool:
    return type(provider).__name__ not in environment.IDLE


def _parts(settings: Settings) -> tuple[list[Callable[[], Any]], list[Any]]:
    """Return how to make the metric readers, and the span exporters."""
    readers: list[Callable[[], Any]] = []
    exporters: list[Any] = []
    if settings.otlp_endpoint is not None:
        base = _address(settings.otlp_endpoint)
        http = "opentelemetry.exporter.otlp.proto.http"
        spans = _wanted(f"{http}.trace_exporter", "otlp", "otlp_endpoint")
        points = _wanted(f"{http}.metric_exporter", "otlp", "otlp_endpoint")
        exporters.append(spans.OTLPSpanExporter(f"{base}/v1/traces", timeout=EXPORT))
        if os.environ.get(METRICS, "").strip().lower() != "none":
            to = points.OTLPMetricExporter(f"{base}/v1/metrics", timeout=EXPORT)
            readers.append(lambda: _periodic(to))
    if settings.prometheus_port is not None or _shown:
        prometheus = _wanted("opentelemetry.exporter.prometheus", "prometheus", "prometheus_port")
        if settings.prometheus_port is not None:
            _serve(settings.prometheus_port)
        readers.append(lambda: prometheus.PrometheusMetricReader(scope_info_enabled=False))
    return readers, exporters


def _address(endpoint: str) -> str:
    """Return a collector's base address; one that names the traces' path is understood too."""
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f'otlp_endpoint={endpoint!r}: an address is like "http://localhost:4318" (OTLP over '
            "HTTP; 4317 is gRPC's port)"
        )
    return endpoint.rstrip("/").removesuffix("/v1/traces")


def _wanted(module: str, extra: str, key: str) -> Any:
    return extras.need(module, extra, key)


def _periodic(exporter: Any) -> Any:
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(exporter, export_timeout_millis=EXPORT * 1000)


def _serve(port: int) -> None:
    from prometheus_client import start_http_server

    host = os.environ.get(PROMETHEUS_HOST) or "127.0.0.1"
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise ConfigError(
            f"prometheus_port={port}: can't listen on {host}:{port} ({error.strerror}); each "
            "process needs a port of its own"
        ) from None


def _tracers(resource: Resource, exporters: list[Any], openinference: bool) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if openinference:
        from pilotlight.telemetry.openinference import Chains

        provider.add_span_processor(Chains())
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _meters(resource: Resource, readers: list[Any]) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider

    return MeterProvider(readers, resource=resource, shutdown_on_exit=False)


def _flush(providers: list[Any]) -> None:
    """Send what is left, in threads that the end of the process waits for only so long."""
    threads = [threading.Thread(target=each.force_flush, daemon=True) for each in providers]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + FLUSH
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))


@cache
def _write_json() -> None:
    """Write pilotlight's lines to stderr, and to nobody else, so that none is there twice."""
    import structlog

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logger = logging.getLogger(names.SCOPE)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
