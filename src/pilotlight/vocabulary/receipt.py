"""The receipt of a call: each attempt, each target passed over, and why.

No prompt, no answer, no key is in it; it may be stored and shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation

Outcome = Literal[
    "primary", "failover", "exhausted", "interrupted", "abandoned", "cancelled", "raised", "open"
]
"""How a call ended.  `raised`: the caller's own mistake; `open`: it has not ended yet."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try at one target; `duration`, `retry_after` and `began` (in the call) in seconds.

    `fault` is None for the try that answered.  `breaker` is the breaker's state when the try
    was admitted (`open`: as a last resort, when nobody else had answered).  `code` is the
    provider's own name for the problem, `error_type` the class of what was raised, `evidence` a
    short piece of what was said, scrubbed of keys and prompt text.  `flags` are remarks such as
    `model_substituted`.
    `cached_tokens` are those of the prompt that the provider knew already, `written_tokens` those
    that it put into its cache, `reasoning_tokens` those of the answer that were spent on thinking;
    `response_id` is the provider's own.
    `lost` names what of the call the target's API could not be told: `logprobs`, `cache_control`.
    `cost` is in US dollars, None where it is not known; with the flag `cost_estimated` it is a
    guess by what was received.
    """

    target: str
    model: str
    number: int
    fault: Fault | None
    status: int | None
    duration: float
    breaker: str
    retry_after: float | None = None
    code: str | None = None
    error_type: str | None = None
    evidence: str = ""
    served_model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    flags: tuple[str, ...] = ()
    began: float = 0.0
    response_id: str | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    lost: tuple[str, ...] = ()
    cost: float | None = None
    written_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SkipRecord:
    """A target that was not asked; `reason` as in `TargetSkipped`.

    `detail` says more: the abilities it lacks, for `residency` the rule (`ResidencyRule`).
    """

    target: str
    reason: str
    retry_after: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to one call; times in seconds, `started_at` since the epoch."""

    call_id: str
    route: str
    private: bool
    outcome: Outcome
    started_at: float
    duration: float
    served_by: str | None
    served_model: str | None
    attempts: tuple[AttemptRecord, ...]
    skipped: tuple[SkipRecord, ...]
    operation: Operation = "chat"
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """What all its tries cost in US dollars; None where that of one is not known."""
        costs = [attempt.cost for attempt in self.attempts]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def failed_over(self) -> bool:
        """Whether another than the first target answered."""
        return self.outcome == "failover"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for `json.dumps`; a wait without end reads as None."""
        data = asdict(self) | {"failed_over": self.failed_over, "cost": self.cost}
        for record in (*data["attempts"], *data["skipped"]):
            if record["retry_after"] == float("inf"):
                record["retry_after"] = None
        return data
