"""The listener: what stands in `pilotlight.listeners` while telemetry is awake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from pilotlight import events
from pilotlight.core.trip import Trip
from pilotlight.telemetry import targets
from pilotlight.telemetry.watch import Watch

if TYPE_CHECKING:
    from pilotlight.telemetry.signals import Signals

# Those under way, each kept by the journal of its call and by nobody else.
_calls: Final[WeakValueDictionary[str, Watch]] = WeakValueDictionary()


def attend(trip: Trip, signals: Signals | None) -> None:
    """Follow a call from here on; `signals` is None where only log lines are wanted."""
    awaken()
    watch = Watch(trip, None) if signals is None else _traced()(trip, signals)
    trip.journal.shield = watch
    _calls[trip.journal.call_id] = watch


@cache
def _traced() -> Callable[[Trip, Signals], Watch]:
    """Return how to follow a call with spans, which loads OpenTelemetry."""
    from pilotlight.telemetry.spans import CallSpans
    from pilotlight.telemetry.tracing import TracedWatch

    return lambda trip, signals: TracedWatch(trip, CallSpans(signals, trip))


def awaken() -> None:
    """Begin to listen, unless that has been done."""
    if listen not in events.listeners:
        events.listeners.append(listen)


def listen(event: events.Event) -> None:
    """Hear one event."""
    kind = type(event)
    if (follow := _OF_CALLS.get(kind)) is not None:
        if (watch := _calls.get(event.call_id)) is not None:  # type: ignore[union-attr]
            follow(watch, event)
        elif isinstance(event, events.ResidencyRefused):  # the call was refused before it began
            targets.residency_refused(event)
    elif isinstance(event, events.CallEnded):
        if (watch := _calls.pop(event.receipt.call_id, None)) is not None:
            watch.ended(event.receipt)
    elif (tell := _OF_TARGETS.get(kind)) is not None:
        tell(event)


_OF_CALLS: Final[Mapping[type, Callable[[Watch, Any], None]]] = {
    events.AttemptStarted: Watch.attempt_started,
    events.StreamOpened: Watch.stream_opened,
    events.AttemptEnded: Watch.attempt_ended,
    events.RetryScheduled: Watch.retry_scheduled,
    events.TargetPassedOver: Watch.passed_over,
    events.ResidencyRefused: Watch.residency_refused,
    events.FailedOver: Watch.failed_over,
}
_OF_TARGETS: Final[Mapping[type, Callable[[Any], None]]] = {
    events.BreakerChanged: targets.breaker_changed,
    events.HealthChecked: targets.health_checked,
    events.WarmUp: targets.warm_up,
}
