"""What the demo writes down: every call, every breaker transition, who is being asked now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilotlight import events

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import Receipt

TARGETS = ("primary", "local")


@dataclass(frozen=True, slots=True)
class CallNote:
    """One call; times in seconds of the play.

    `first_try`: the first request to the primary was answered.  `spared`: the
    breaker kept the call away from it.  `well`: the primary would have answered then.
    `added` is what the call took beyond the attempt that answered.
    """

    began: float
    ended: float
    phase: str
    well: bool
    served_by: str
    first_try: bool
    spared: bool
    added: float
    own: float
    error: str = ""

    @classmethod
    def of(
        cls, began: float, ended: float, phase: str, well: bool, receipt: Receipt | None, error: str
    ) -> CallNote:
        """Read a call's receipt."""
        attempts = receipt.attempts if receipt else ()
        asked = [attempt for attempt in attempts if attempt.target == TARGETS[0]]
        good = [attempt for attempt in attempts if attempt.fault is None]
        duration = receipt.duration if receipt else ended - began
        return cls(
            began,
            ended,
            phase,
            well,
            (receipt.served_by or "") if receipt and not error else "",
            bool(asked) and asked[0].fault is None,
            any(skip.target == TARGETS[0] for skip in receipt.skipped) if receipt else False,
            duration - (good[0].duration if good else 0.0),
            duration - sum(attempt.duration for attempt in attempts),
            error,
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker changed its state; `lasts` is how long in seconds it will stay open."""

    at: float
    target: str
    old: str
    new: str
    reason: str
    lasts: float | None

    def __str__(self) -> str:
        lasts = f", for {self.lasts:.1f} s" if self.new == "open" and self.lasts else ""
        reason = f" ({self.reason}{lasts})" if self.new != "half-open" else " (one trial call)"
        return f"{self.target} breaker: {self.old} → {self.new}{reason}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: a phase, a breaker transition, or the first of many failovers."""

    at: float
    kind: str  # phase, breaker, failover
    text: str


@dataclass(slots=True)
class Counts:
    """One target's calls so far."""

    served: int = 0
    failed: int = 0
    skipped: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class Notes:
    """Written by the workers, read by the screen; thread-safe."""

    calls: list[CallNote] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    log: list[Line] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=lambda: {name: Counts() for name in TARGETS})
    phase: str = ""
    _seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, phase: str, says: str, at: float) -> None:
        """Note that an act begins."""
        with self._lock:
            self.phase = phase
            self._seen.clear()
            self.log.append(Line(at, "phase", f"{phase}: {says}"))

    def add(self, call: CallNote) -> None:
        """Note a call that has ended."""
        with self._lock:
            self.calls.append(call)

    def listener(self, now: Callable[[], float]) -> events.Listener:
        """Return the listener that keeps the counts."""

        def listen(event: events.Event) -> None:
            with self._lock:
                self._take(event, now())

        return listen

    def _take(self, event: events.Event, at: float) -> None:
        match event:
            case events.AttemptStarted(target=target):
                self.counts[target].in_flight += 1
            case events.AttemptEnded(record=record):
                counts = self.counts[record.target]
                counts.in_flight -= 1
                counts.served += record.fault is None
                counts.failed += record.fault is not None
            case events.TargetSkipped(target=target):
                self.counts[target].skipped += 1
            case events.FailedOver(from_target=left, to_target=to, reason=reason):
                if reason not in self._seen:  # in each phase, the first of its kind
                    self._seen.add(reason)
                    self.log.append(Line(at, "failover", f"{left} → {to}: {reason}"))
            case events.BreakerChanged():
                change = Transition(
                    at, event.target, event.old, event.new, event.reason, event.retry_after
                )
                self.transitions.append(change)
                self.log.append(Line(at, "breaker", str(change)))
