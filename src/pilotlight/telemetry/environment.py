"""What can hear us in this process: OpenTelemetry's providers, and handlers of log lines."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Final

from pilotlight.notices import SWITCH, switched_off

if TYPE_CHECKING:
    from pilotlight.telemetry.signals import Signals

# What opentelemetry-api has where no provider is set.
IDLE: Final = frozenset(
    {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}
)
_ASK: Final = (
    ("opentelemetry.trace", "get_tracer_provider"),
    ("opentelemetry.metrics", "get_meter_provider"),
)


__all__ = ["SWITCH", "heard", "signals", "switched_off"]

_logger = logging.getLogger("pilotlight")


def signals() -> Signals | None:
    """Return the way to OpenTelemetry where the application has set a provider, else None."""
    for module, ask in _ASK:
        provider = getattr(sys.modules.get(module), ask, None)
        if provider is not None and type(provider()).__name__ not in IDLE:
            return _of_process()
    return None


@cache
def _of_process() -> Signals | None:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    from pilotlight.telemetry.signals import Signals

    made = Signals()
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=made.forget)
    return made


def heard() -> bool:
    """Tell whether a log line would reach a handler that does something with it."""
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            if type(handler) is not logging.NullHandler:
                return True
        logger = logger.parent if logger.propagate else None
    return False
