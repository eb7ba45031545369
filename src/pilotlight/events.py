"""What happened, as frozen records; and the list of those who want to know.

A listener is a plain function of one event.  It is called in the thread of the
call that made the event, outside of every lock; it can't alter the road, and one
that raises is logged and passed over.

    import pilotlight
    pilotlight.listeners.append(print)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotlight.plain import logger

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import AttemptRecord, Receipt
    from pilotlight.vocabulary.residency_rules import ResidencyRule

_log = logger("pilotlight")


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A target is being asked."""

    call_id: str
    route: str
    target: str
    number: int
    breaker: str = "closed"


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A stream gave its first text or tool call, `after` seconds from its attempt's start."""

    call_id: str
    route: str
    target: str
    after: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A target answered or failed: `record.fault`; `moved`: its breaker moved by it."""

    call_id: str
    route: str
    record: AttemptRecord
    moved: bool = False


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The same target will be asked again in `delay` seconds."""

    call_id: str
    route: str
    target: str
    fault: str
    delay: float


@dataclass(frozen=True, slots=True)
class TargetSkipped:
    """A target was not asked; `reason` as in `TargetSkipped`."""

    call_id: str
    route: str
    target: str
    reason: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class ResidencyRefused:
    """A prompt was kept from a target, or from where a connection led; `rule` says by what.

    Told besides `TargetSkipped` or `AttemptEnded`, and by itself for each target of a
    route that has no local one.
    """

    call_id: str
    route: str
    target: str
    rule: ResidencyRule


@dataclass(frozen=True, slots=True)
class FailedOver:
    """The call moves on to the next target; `reason` is a fault or a skip reason."""

    call_id: str
    route: str
    from_target: str
    to_target: str
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """A circuit breaker changed its state (`closed`, `open`, `half-open`).

    `learned` tells that another process found it out, and this one read it on the
    shared board (docs/fleet.md).
    """

    target: str
    old: str
    new: str
    reason: str
    retry_after: float | None = None
    learned: bool = False


@dataclass(frozen=True, slots=True)
class StateStore:
    """The store that processes share their breakers' state in is `gone`, or `back` again.

    While it is gone each process goes by what it sees itself; no call waits or fails for
    it.  `store` is its address without secrets.
    """

    store: str
    state: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PriceChanged:
    """A target's price is another than the one in `prices.lock`; said once a process.

    Both in US dollars, by the keys of the table `price`.
    """

    target: str
    model: str
    agreed: Mapping[str, float | None]
    price: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Alert:
    """A person has to act: a key, a quota, a retired model; said once, not once a call.

    `reason` is a fault's name or `retirement_near`; `message` says what to do.
    """

    target: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class HealthChecked:
    """A target was looked at, without a call.

    `state` is `lit cold missing cloud unreachable` for an Ollama target, `ok auth_failed
    missing unreachable` for a hosted one; `problem` is None when all is well.
    """

    target: str
    state: str
    duration: float
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A local model is loaded ahead of its first call, or let go of again.

    `phase` is `started done failed released`; `duration` in seconds, 0 at the start.
    """

    target: str
    phase: str
    duration: float = 0.0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class DrillStarted:
    """A game day has begun in this process: a share `rate` of the calls finds a target refused.

    `drill` is its id, `target` a name, a model or a provider, `route` None for every route;
    it ends in so many `seconds`.
    """

    drill: str
    target: str
    route: str | None
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class DrillEnded:
    """A game day has ended in this process; `reason` is `over` or `stopped`."""

    drill: str
    target: str
    route: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over, one way or another; the receipt has it all."""

    receipt: Receipt


CallEvent = (
    AttemptStarted
    | StreamOpened
    | AttemptEnded
    | RetryScheduled
    | TargetSkipped
    | ResidencyRefused
    | FailedOver
    | CallEnded
)
"""What happens to one call."""
Event = (
    CallEvent
    | BreakerChanged
    | StateStore
    | PriceChanged
    | Alert
    | HealthChecked
    | WarmUp
    | DrillStarted
    | DrillEnded
)
Listener = Callable[[Event], None]

listeners: list[Listener] = []
"""Who is told of every event in this process; append and remove as you like."""


def emit(event: Event, *first: Callable[[Any], None]) -> None:
    """Tell `first`, then the listeners; one that raises is logged and does no harm."""
    for listener in (*first, *listeners):
        try:
            listener(event)
        except Exception:
            _log.exception("a pilotlight listener failed on %s", type(event).__name__)


def alert(target: str, reason: str, message: str) -> None:
    """Say that a person has to act: to the log, and to the listeners."""
    told = {"event_name": "pilotlight.alert", "target": target, "reason": reason}
    _log.warning("%s: %s: %s", target, reason, message, extra=told)
    if listeners:
        emit(Alert(target, reason, message))
