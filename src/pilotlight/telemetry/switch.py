"""When telemetry is awake: as soon as somebody can hear it, and not before.

What is awake stands in `pilotlight.listeners`, for all to see.  A provider or a handler
that is set after the first call is noticed by the next one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pilotlight.plain import logger
from pilotlight.telemetry import environment

if TYPE_CHECKING:
    from pilotlight.core.flow.context import CallContext
    from pilotlight.core.flow.recorder import CallRecorder

_log = logger("pilotlight")


def attend(ctx: CallContext) -> None:
    """Go along with a call if anybody hears of it; where nobody does, it costs a few look-ups."""
    otel = environment.signals()
    if otel is not None or environment.heard():
        try:
            _listener().attend(ctx, otel)
        except Exception:
            _log.exception("telemetry failed to begin; the call goes on without it")


def attend_refusal(recorder: CallRecorder) -> None:
    """Be told of a call that is refused before it begins, if anybody hears of it."""
    if environment.heard():
        _listener().attend_refusal(recorder)


@cache
def _listener() -> Any:
    """Return the listener's module, which loads the first time that somebody hears."""
    from pilotlight.telemetry import listener

    return listener
