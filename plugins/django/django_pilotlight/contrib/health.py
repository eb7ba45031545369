"""A check for django-health-check 4: `HealthCheckView.as_view(checks=[Route])`.

    ("django_pilotlight.contrib.health.Route", {"route": "default"})

Being on the fallback is no failure, and neither is an outage: another process would fare
no better, and a readiness check that turns red would take every one out of service.  With
`strict=True` a route without any target that admits calls is one: for alerts.  It reads
this process's breakers, and calls nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable


@dataclass
class Route(HealthCheck):
    """How one route stands in this process."""

    route: str = "default"
    strict: bool = False

    async def run(self) -> None:
        """Raise ServiceUnavailable for a configuration that can't be used; if strict, when down."""
        if self._standing() == "down" and self.strict:
            raise ServiceUnavailable(f"route {self.route!r} has no target that admits calls")

    def pretty_status(self) -> str:
        """Return `ok`, `degraded` or `down`."""
        return self._standing()

    def _standing(self) -> str:
        from django_pilotlight.current_app import app
        from pilotlight import ConfigError
        from pilotlight.status.snapshot import take

        try:
            name = app().route(self.route).name
            return next(each.standing for each in take(app()).routes if each.name == name)
        except ConfigError as error:
            raise ServiceUnavailable(
                f"pilotlight is misconfigured: route {self.route!r}"
            ) from error
