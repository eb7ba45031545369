"""What is done for the targets between calls: health checks, warm-ups, pulls.

    checks · hosted     ask one endpoint how it is; pure functions of an HTTP client
    verdict             what a check's result changes: breaker, abilities, retirement
    prober              one daemon thread a process, which makes the checks
    recovery            asks, while a breaker is open, whether anybody is there
    warmup              loads a local model before the first failover needs it
    pull                fetches a model that is missing
    lifecycle           how long a model will be there, by all that is known
    attendance          what a route holds: begins all of this with its first call

Nothing here starts at import or when a route is made.  `PILOTLIGHT_BACKGROUND=off`
in the environment keeps all of it from starting.
"""

from __future__ import annotations

from pilotlight.health.attendance import HealthMonitor, forget, reset

__all__ = ["HealthMonitor", "forget", "reset"]
