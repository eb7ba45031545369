"""When telemetry is awake: as soon as somebody can hear it, and not before.

What is awake stands in `pilotlight.listeners`, for all to see.  A provider or a handler
that is set after the first call is noticed by the next one.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pilotlight.core.receipt import Journal
    from pilotlight.core.trip import Trip
    from pilotlight.telemetry.signals import Signals

SWITCH: Final = "PILOTLIGHT_TELEMETRY"  # in the environment; "off": no spans, metrics or lines

# What opentelemetry-api has where no provider is set.
IDLE: Final = frozenset(
    {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}
)
_ASK: Final = (
    ("opentelemetry.trace", "get_tracer_provider"),
    ("opentelemetry.metrics", "get_meter_provider"),
)

_logger = logging.getLogger("pilotlight")


def attend(trip: Trip) -> None:
    """Go along with a call if anybody hears of it; where nobody does, it costs a few look-ups."""
    otel = signals()
    if otel is not None or heard():
        try:
            _listener().attend(trip, otel)
        except Exception:
            _logger.exception("telemetry failed to begin; the call goes on without it")


def attend_refusal(journal: Journal) -> None:
    """Be told of a call that is refused before it begins, if anybody hears of it."""
    if heard():
        _listener().attend_refusal(journal)


@cache
def _listener() -> Any:
    """Return the listener's module, which loads the first time that somebody hears."""
    from pilotlight.telemetry import listener

    return listener


def switched_off() -> bool:
    """Tell whether the environment wants no telemetry."""
    return os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no")


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
