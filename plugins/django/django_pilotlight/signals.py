"""Signals of what happens in calls, and the one listener that sends them.

Each is sent with `event` (of `pilotlight.events`) and `request_id`; the sender is the
event's class.  Receivers run in the thread of the call, within its context, and never
break it: what they raise is logged.  They should be quick, and plain functions.
"""

from __future__ import annotations

from typing import Any, Final

from django.dispatch import Signal

import pilotlight
from django_pilotlight import event_writer
from django_pilotlight.context import current

failed_over = Signal()
"""A call moves on to the next target: `event.from_target`, `.to_target`, `.reason`."""

breaker_opened = Signal()
"""A circuit breaker opened in this process: `event.target`, `.reason`, `.retry_after`."""

breaker_closed = Signal()
"""A circuit breaker closed in this process: `event.target`."""

all_targets_failed = Signal()
"""A call found nobody to answer it: `event.receipt`."""


def _of_breaker(event: Any) -> Signal | None:
    return {"open": breaker_opened, "closed": breaker_closed}.get(event.new)


def _of_end(event: Any) -> Signal | None:
    return all_targets_failed if event.receipt.outcome == "exhausted" else None


_SIGNALS: Final = {
    "FailedOver": lambda _event: failed_over,
    "BreakerChanged": _of_breaker,
    "CallEnded": _of_end,
}


def tell(event: Any) -> None:
    """Send the signal of an event, if it has one, and have it logged; a `pilotlight` listener."""
    kind = _SIGNALS.get(type(event).__name__)
    signal = None if kind is None else kind(event)
    if signal is not None:
        request_id = current().request_id
        event_writer.note(event, request_id)
        signal.send_robust(sender=type(event), event=event, request_id=request_id)


def listen() -> None:
    """Hear of what happens in calls, for the signals and the log of events."""
    if tell not in pilotlight.listeners:
        pilotlight.listeners.append(tell)
