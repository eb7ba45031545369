"""An SDK's client, protected: the same class, over an HTTP client of ours."""

from pilotlight.doors.guard.guard import guard

__all__ = ["guard"]
