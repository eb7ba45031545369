"""What happens to targets outside of calls: breakers, health checks, warm-ups."""

from __future__ import annotations

from typing import Any, Final

from pilotlight import events
from pilotlight.telemetry import environment, logs, names, words

trace_checks = False  # `configure_telemetry(trace_health_checks=True)`
_ill: Final[set[str]] = set()  # who failed the last check: a line is written when that changes


def breaker_changed(event: events.BreakerChanged) -> None:
    """Count a breaker's move; `pilotlight.notices` has told it already."""
    told = {
        "target": event.target,
        "from_state": words.state(event.old),
        "to_state": words.state(event.new),
        "reason": words.transition_reason(event.old, event.new, event.reason),
    }
    if (signals := environment.signals()) is not None:
        labels = {names.TRANSITION.keys[key]: value for key, value in told.items()}
        signals.transitions.add(1, labels)


def residency_refused(event: events.ResidencyRefused) -> None:
    """Tell that a private prompt was kept from a target, where no call has begun."""
    told = {"route": event.route, "target": event.target, "rule": str(event.rule)}
    logs.say(names.REFUSED, told)


def health_checked(event: events.HealthChecked) -> None:
    """Measure a check, and tell a target's fall and rise."""
    error = event.state if event.problem is not None else None
    if (error is not None) != (event.target in _ill):
        told: dict[str, Any] = {"target": event.target, "duration_s": event.duration}
        if error is None:
            _ill.discard(event.target)
            logs.say(names.CHECK_RECOVERED, told)
        else:
            _ill.add(event.target)
            logs.say(names.CHECK_FAILED, told | {"error_type": error})
    if (signals := environment.signals()) is not None:
        labels = {names.TARGET: event.target} | ({names.ERROR: error} if error else {})
        signals.checks.record(event.duration, labels)
        if trace_checks:
            signals.trace_check(event.target, event.duration, labels, error)


def warm_up(event: events.WarmUp) -> None:
    """Tell a warm-up; one that failed has told so itself, with its problem."""
    if event.problem is None:
        told = {"target": event.target, "outcome": event.phase, "duration_s": event.duration}
        logs.say(names.WARM_UP, told)
