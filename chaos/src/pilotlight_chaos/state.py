"""What was asked of the server, and how it went: records and counters.

Written by the server's thread, read by any.  `changed` is notified on every change, so that a
test can wait for an event and need not sleep.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .book import ANYONE
from .http import Json

Outcome = Literal["in_flight", "completed", "disconnected"]
KEPT_RECORDS = 10_000


@dataclass(slots=True)
class RequestRecord:
    """One request.  `completed` means that all was sent that was meant to be: a fault, too."""

    name: str  # from /p/<name>/..., otherwise the dialect
    dialect: str
    method: str
    path: str  # without the /p/<name>
    model: str | None
    stream: bool
    of_model: bool  # chat, generate, messages, embeddings; not models, tags, show, version, ...
    time: float  # seconds since the epoch
    body: Any = None
    headers: Json | None = None
    fault: str | None = None
    status: int | None = None
    outcome: Outcome = "in_flight"
    said: str = ""  # the whole text that it was to be answered with
    begun: bool = False  # written into the log

    def matches(self, key: str | None) -> bool:
        return key is None or key in (self.name, self.dialect, ANYONE)

    def as_json(self, *, bodies: bool = False) -> Json:
        """As told by the control endpoint: never the headers, which carry keys."""
        kept = asdict(self)
        del kept["headers"], kept["begun"]
        if not bodies:
            del kept["body"], kept["said"]  # answers echo what was asked
        return kept


@dataclass(slots=True)
class Counters:
    """Counts of model requests; `probes` are the other ones."""

    requests: int = 0
    completed: int = 0
    disconnected: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    probes: int = 0


class Log:
    """All records and counters, by name and by dialect.  Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[RequestRecord] = deque(maxlen=KEPT_RECORDS)
        self._counters: dict[str, Counters] = {}

    def begin(self, record: RequestRecord) -> None:
        with self._changed:
            self._records.append(record)
            for counters in self._of(record):
                if not record.of_model:
                    counters.probes += 1
                    continue
                counters.requests += 1
                counters.in_flight += 1
                counters.max_in_flight = max(counters.max_in_flight, counters.in_flight)
            self._changed.notify_all()

    def settle(self, record: RequestRecord, outcome: Outcome) -> None:
        """Write the outcome down, once: the first word counts."""
        with self._changed:
            if record.outcome != "in_flight":
                return
            record.outcome = outcome
            for counters in self._of(record) if record.of_model else ():
                # After a reset, old requests still end: their begin was forgotten.
                counters.in_flight = max(0, counters.in_flight - 1)
                if outcome == "completed":
                    counters.completed += 1
                else:
                    counters.disconnected += 1
            self._changed.notify_all()

    def _of(self, record: RequestRecord) -> list[Counters]:
        keys = dict.fromkeys((record.name, record.dialect, ANYONE))
        return [self._counters.setdefault(key, Counters()) for key in keys]

    def counters(self, key: str = ANYONE) -> Counters:
        """Return a copy of the counts of a name, a dialect or all."""
        with self._changed:
            return Counters(**asdict(self._counters.get(key, Counters())))

    def records(self, key: str | None = None, *, probes: bool = False) -> list[RequestRecord]:
        with self._changed:
            return [r for r in self._records if r.matches(key) and (r.of_model or probes)]

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition on the records holds; return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def clear(self) -> None:
        with self._changed:
            self._records.clear()
            self._counters.clear()
            self._changed.notify_all()

    def as_json(self) -> Json:
        with self._changed:
            return {key: asdict(counters) for key, counters in self._counters.items()}


def now() -> float:
    return time.time()
