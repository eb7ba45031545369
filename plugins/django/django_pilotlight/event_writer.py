"""The background thread of a worker: writes events to the database, and reads operators' commands.

It starts with the first call, never in `ready()`, and anew in a forked child.  It has a
database connection of its own, so the request's transaction neither waits for it nor
takes its rows along when it is rolled back.  The queue is bounded: when the database is
slower than events come, the newest are dropped and counted.  A call never waits for it.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.utils import timezone

from django_pilotlight import current_app, settings
from django_pilotlight.operator_commands import EVERY, OperatorCommands
from pilotlight.plain import logger

if TYPE_CHECKING:
    from django_pilotlight.models import FailoverEvent

ROOM: Final = 1000  # events that may wait to be written
BATCH: Final = 200  # events written by one statement
PATIENCE: Final = 1.0  # seconds for the last events when the process ends

_log = logger("django_pilotlight")


class EventWriter:
    """The queue and its thread; thread-safe.  Nothing runs before `ensure_running`."""

    def __init__(self) -> None:
        self.begin_afresh()

    def begin_afresh(self) -> None:
        """Start without a thread, and with locks that nobody holds."""
        self.dropped = 0
        self._queue: queue.Queue[FailoverEvent | None] = queue.Queue(ROOM)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._commands = OperatorCommands(current_app.app)
        self._ending = False
        self._gone = False

    def ensure_running(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._ending:
                    self._thread = threading.Thread(
                        target=self._loop, name="django-pilotlight", daemon=True
                    )
                    self._thread.start()

    def put(self, event: FailoverEvent) -> None:
        """Have an event written soon; when the queue is full, it is dropped."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def stop(self, patience: float = PATIENCE) -> None:
        """Write what waits, for so many seconds at most, and end."""
        thread = self._thread
        self._ending = True
        if thread is not None and thread.is_alive():
            try:
                self._queue.put(None, timeout=patience)
            except queue.Full:
                return
            thread.join(patience)

    def _loop(self) -> None:
        looked = -EVERY
        ending = False
        while not ending:
            batch, ending = self._gather(looked + EVERY - time.monotonic())
            self._step(batch, look=not ending and time.monotonic() - looked >= EVERY)
            if time.monotonic() - looked >= EVERY:
                looked = time.monotonic()
        self._commands.end()
        connections.close_all()  # this thread's own

    def _gather(self, seconds: float) -> tuple[list[FailoverEvent], bool]:
        """Wait for an event so many seconds; return those that are there, and whether to end."""
        batch: list[FailoverEvent] = []
        try:
            event = self._queue.get(timeout=max(0.0, seconds))
            while event is not None:
                batch.append(event)
                if len(batch) == BATCH:
                    return batch, False
                event = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _step(self, batch: list[FailoverEvent], *, look: bool) -> None:
        """Write and look; a database that is out of order is said once, and costs the events."""
        from django_pilotlight.models import FailoverEvent

        database = settings.own().database
        try:
            connections[database].close_if_unusable_or_obsolete()
            if batch:
                FailoverEvent.objects.using(database).bulk_create(batch)
            if look:
                self._commands.look(database)
        except Exception as error:
            self.dropped += len(batch)
            self._trouble(error)
            connections[database].close()
        else:
            self._gone = False

    def _trouble(self, error: Exception) -> None:
        if not self._gone:
            self._gone = True
            _log.warning(
                "events are not written to the database, nor operators' commands read: %s: %s",
                type(error).__name__,
                error,
            )


WRITER: Final = EventWriter()


def ensure_running() -> None:
    """Start the thread, if the settings want one."""
    if WRITER._thread is None and _wanted():
        WRITER.ensure_running()


def note(event: Any, request_id: str) -> None:
    """Have an event of `pilotlight.events` written, if the settings want it.

    Not that a private call passes over a hosted target: it does so every time.  Nor what
    another worker found out: that one writes it down, for the whole fleet.
    """
    if getattr(event, "reason", "") == "residency" or getattr(event, "learned", False):
        return
    if _wanted():
        WRITER.put(record(event, request_id))


def _wanted() -> bool:
    return current_app.HOLDER.route is None and settings.own().log_events


def record(event: Any, request_id: str) -> FailoverEvent:
    """Return an event as it is kept."""
    from django_pilotlight.models import FailoverEvent

    kind = FailoverEvent.Kind
    match type(event).__name__:
        case "FailedOver":
            told = {
                "kind": kind.FAILED_OVER,
                "route": event.route,
                "target": event.from_target,
                "to_target": event.to_target,
                "reason": event.reason,
                "call_id": event.call_id,
            }
        case "BreakerChanged":
            opened = event.new == "open"
            told = {
                "kind": kind.BREAKER_OPENED if opened else kind.BREAKER_CLOSED,
                "target": event.target,
                "reason": event.reason,
            }
        case _:
            told = {
                "kind": kind.ALL_FAILED,
                "route": event.receipt.route,
                "call_id": event.receipt.call_id,
            }
    longest = {"route": 255, "target": 255, "to_target": 255, "reason": 64}
    told |= {name: str(told[name])[:most] for name, most in longest.items() if name in told}
    return FailoverEvent(at=timezone.now(), request_id=request_id[:64], **told)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=WRITER.begin_afresh)
atexit.register(WRITER.stop)
