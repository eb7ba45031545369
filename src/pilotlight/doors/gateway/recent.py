"""What happened last in the calls of this process, for the status page."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Final

from pilotlight import events
from pilotlight.status.page import Happening

NEWEST: Final = 20

_happened: Final[deque[Happening]] = deque(maxlen=NEWEST)


def note(event: events.Event) -> None:
    """Take note of an event that the page shows; a listener."""
    match event:
        case events.FailedOver():
            told = ("failed over", event.route, event.from_target, event.to_target, event.reason)
            _add(*told, event.call_id)
        case events.BreakerChanged(new="open" | "closed") as changed:
            what = f"breaker {'opened' if changed.new == 'open' else 'closed'}"
            _add(what, "", changed.target, "", changed.reason)
        case events.CallEnded(receipt=receipt) if receipt.outcome == "exhausted":
            _add("all targets failed", receipt.route, "", "", "", receipt.call_id)


def _add(what: str, route: str, target: str, to: str, reason: str, call_id: str = "") -> None:
    at = datetime.now().astimezone()
    _happened.appendleft(Happening(at, what, route, target, to, str(reason), call_id))


def happened() -> list[Happening]:
    """Return what happened last, the newest first."""
    return list(_happened)


def listen() -> None:
    """Begin to take note; again does nothing."""
    if note not in events.listeners:
        events.listeners.append(note)
