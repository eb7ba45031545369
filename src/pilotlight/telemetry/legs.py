"""A leg: one target of a call with its retries, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pilotlight.core.receipt import AttemptRecord
from pilotlight.core.target import Target
from pilotlight.telemetry import names

if TYPE_CHECKING:
    from pilotlight.telemetry.spans import LegSpan


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


@dataclass(frozen=True, slots=True)
class LegEnd:
    """How a leg ended: `record` of its last try, None if it was given up without an answer."""

    record: AttemptRecord | None
    error: str | None  # `error.type`; None if nothing failed
    retries: int
    opened: float | None
    outcome: str | None = None  # of a stream: interrupted, abandoned

    def attributes(self) -> dict[str, Any]:
        """Return what the span learns at its end."""
        record = self.record
        found: dict[str, Any] = {
            names.ERROR: self.error,
            names.RETRIES: self.retries or None,
            names.FIRST_CHUNK: self.opened,
            names.ATTEMPT_OUTCOME: self.outcome,
        }
        if record is not None:
            found[names.RESPONSE_ID] = record.response_id
            found[names.RESPONSE_MODEL] = record.served_model
            found[names.INPUT_TOKENS] = record.prompt_tokens
            found[names.OUTPUT_TOKENS] = record.completion_tokens
            found[names.CACHED_TOKENS] = record.cached_tokens
            found[names.REASONING_TOKENS] = record.reasoning_tokens
            found[names.REASON] = str(record.fault) if record.fault else None
            found[names.FINISH_REASONS] = (record.finish_reason,) if record.finish_reason else None
        return {name: value for name, value in found.items() if value is not None}
