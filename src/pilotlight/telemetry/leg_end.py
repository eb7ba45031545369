"""How a leg of a call ended: one target with its retries."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final, NamedTuple

from pilotlight.telemetry import names
from pilotlight.vocabulary.receipt import AttemptRecord


class LegEnd(NamedTuple):
    """How a leg ended: `record` of its last try, None if it was given up without an answer."""

    record: AttemptRecord | None
    error: str | None  # `error.type`; None if nothing failed
    retries: int
    opened: float | None
    outcome: str | None = None  # of a stream: interrupted, abandoned

    def attributes(self) -> dict[str, Any]:
        """Return what the span learns at its end."""
        record, found = self.record, {}
        if record is not None:
            told = zip(_NAMES, _of_record(record), strict=True)
            found = {name: value for name, value in told if value is not None}
            if record.fault is not None:
                found[names.REASON] = str(record.fault)
            if record.finish_reason:
                found[names.FINISH_REASONS] = (record.finish_reason,)
            if record.lost:
                found[names.LOST] = record.lost
        if self.error is not None:
            found[names.ERROR] = self.error
        if self.retries:
            found[names.RETRIES] = self.retries
        if self.opened is not None:
            found[names.FIRST_CHUNK] = self.opened
        if self.outcome is not None:
            found[names.ATTEMPT_OUTCOME] = self.outcome
        return found


_RECORDED: Final = {
    names.RESPONSE_ID: "response_id",
    names.RESPONSE_MODEL: "served_model",
    names.INPUT_TOKENS: "prompt_tokens",
    names.OUTPUT_TOKENS: "completion_tokens",
    names.CACHED_TOKENS: "cached_tokens",
    names.REASONING_TOKENS: "reasoning_tokens",
    names.COST: "cost",
}
_NAMES: Final = tuple(_RECORDED)
_of_record: Final = attrgetter(*_RECORDED.values())
