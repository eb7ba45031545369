"""How telemetry hears: of a call as its shield, of targets from `pilotlight.listeners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pilotlight import events
from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.provider import NullInterceptor
from pilotlight.telemetry import environment, targets
from pilotlight.telemetry.call_trace import CallTrace

if TYPE_CHECKING:
    from pilotlight.telemetry.signals import Signals


def attend(ctx: CallContext, signals: Signals | None) -> None:
    """Follow a call from here on; `signals` is None where only log lines are wanted."""
    if awaken():
        ctx.recorder.interceptor = (
            CallTrace(ctx, None) if signals is None else _traced()(ctx, signals)
        )


@cache
def _traced() -> Callable[[CallContext, Signals], CallTrace]:
    """Return how to follow a call with spans, which loads OpenTelemetry."""
    from pilotlight.telemetry.spans import CallSpans
    from pilotlight.telemetry.tracing import TracedWatch

    return lambda ctx, signals: TracedWatch(ctx, CallSpans(signals, ctx))


def attend_refusal(recorder: CallRecorder) -> None:
    """Hear of the targets that a call is kept from which is refused before it begins."""
    if awaken():
        recorder.interceptor = _REFUSED


class _Refused(NullInterceptor):
    """A call that was refused before it began: it has no spans."""

    __slots__ = ()

    def hear(self, event: events.CallEvent) -> None:
        if isinstance(event, events.ResidencyRefused):
            targets.residency_refused(event)


_REFUSED: Final = _Refused()


def awaken() -> bool:
    """Begin to listen, unless that has been done or the environment forbids it; tell if we do."""
    if listen not in events.listeners:
        if environment.switched_off():  # slow to ask: only until we are awake
            return False
        events.listeners.append(listen)
    return True


def listen(event: events.Event) -> None:
    """Hear what happens to targets."""
    if (tell := _OF_TARGETS.get(type(event))) is not None:
        tell(event)


_OF_TARGETS: Final[Mapping[type, Callable[[Any], None]]] = {
    events.BreakerChanged: targets.breaker_changed,
    events.HealthChecked: targets.health_checked,
    events.WarmUp: targets.warm_up,
}
