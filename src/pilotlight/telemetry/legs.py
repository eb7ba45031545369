"""A leg: one target of a call with its retries."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.core.target import Target
from pilotlight.telemetry.spans import LegSpan
from pilotlight.vocabulary.receipt import AttemptRecord


@dataclass(slots=True)
class Leg:
    """One target being asked; `began` and `ended` in seconds of the call's clock."""

    target: Target
    index: int
    role: str
    began: float
    span: LegSpan | None = None  # None: only log lines are wanted
    retries: int = 0
    opened: float | None = None  # seconds until a stream's first content
    failed: AttemptRecord | None = None  # its last try, which may be tried again
    ended: float | None = None
    ended_ns: int | None = None
