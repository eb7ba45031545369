"""What was seen of each call and of each breaker, in seconds since the world began."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pilotlight import Receipt
from pilotlight.events import (
    Alert,
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Event,
    StateStore,
)

Verdict = Literal["whole", "partial", "wrong", "none"]
"""What came out of a call: the expected text, the beginning of it, something else, nothing."""


@dataclass(slots=True)
class Try:
    """One attempt of a call; `fault` is empty for the one that answered."""

    target: str
    fault: str
    duration: float
    breaker: str
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class CallNote:
    """One call of the traffic; `ended` is None while it is under way."""

    number: int
    shape: str
    began: float
    ended: float | None = None
    served_by: str = ""
    error: str = ""  # the class of what was raised
    verdict: Verdict = "none"
    tries: list[Try] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # target, reason

    @property
    def answered(self) -> bool:
        """Whether the caller got an answer, right or wrong."""
        return self.ended is not None and not self.error

    def took(self, now: float) -> float:
        """Return its duration, of a call under way what it has taken so far."""
        return (now if self.ended is None else self.ended) - self.began

    def added(self) -> float:
        """Return what the call took beyond the attempt that answered."""
        own = self.tries[-1].duration if self.tries and not self.tries[-1].fault else 0.0
        return max(0.0, self.took(self.began) - own) if self.ended is not None else 0.0

    def fill(self, receipt: Receipt) -> None:
        """Take over what the receipt says."""
        self.served_by = receipt.served_by or ""
        self.tries = [
            Try(a.target, str(a.fault or ""), a.duration, a.breaker, tuple(map(str, a.flags)))
            for a in receipt.attempts
        ]
        self.skipped = [(skip.target, skip.reason) for skip in receipt.skipped]


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker changed its state."""

    at: float
    target: str
    old: str
    new: str
    reason: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert was raised."""

    at: float
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt that a breaker admitted which was not closed: a trial, or a last resort."""

    target: str
    began: float
    ended: float


class Notes:
    """Listens to the events of one world's route, and keeps what the measures need."""

    def __init__(self, now: Callable[[], float], targets: frozenset[str]) -> None:
        self._now = now
        self._targets = targets
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str, int], float] = {}
        self.calls: list[CallNote] = []
        self.changes: list[Change] = []
        self.alerts: list[Raised] = []
        self.trials: list[Trial] = []
        self.stores: list[tuple[float, str]] = []  # when the store was said to be gone, and back

    def listen(self, event: Event) -> None:
        """Be told of an event, in the thread of the call that made it."""
        match event:
            case AttemptStarted(call_id=call_id, target=target, number=number):
                with self._lock:
                    self._under_way[call_id, target, number] = self._now()
            case AttemptEnded(call_id=call_id, record=record):
                with self._lock:
                    began = self._under_way.pop(
                        (call_id, record.target, record.number), self._now()
                    )
                    if record.breaker in ("half-open", "open"):
                        self.trials.append(Trial(record.target, began, self._now()))
            case BreakerChanged(target=target) if target in self._targets:
                self.changes.append(
                    Change(
                        self._now(), target, event.old, event.new, event.reason, event.retry_after
                    )
                )
            case StateStore(state=state):
                self.stores.append((self._now(), state))
            case Alert(target=target, reason=reason) if target in self._targets:
                self.alerts.append(Raised(self._now(), target, reason))
