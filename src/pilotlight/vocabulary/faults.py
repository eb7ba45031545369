"""What can go wrong, and what each kind does: one closed set, one table.

Everything else reads this table: the flow (retry, fail over, raise), the breaker
(count, open, ignore), receipts, telemetry and the documentation.  Its names are
the vocabulary of the whole project.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType


class Fault(StrEnum):
    """What went wrong with one attempt."""

    CONNECTION_ERROR = "connection_error"
    TLS_ERROR = "tls_error"
    TIMEOUT = "timeout"
    STREAM_STALLED = "stream_stalled"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTH_FAILED = "auth_failed"
    PERMISSION_DENIED = "permission_denied"
    MODEL_RETIRED = "model_retired"
    MODEL_NOT_FOUND = "model_not_found"
    EMPTY_RESPONSE = "empty_response"
    MALFORMED_RESPONSE = "malformed_response"
    STREAM_TRUNCATED = "stream_truncated"
    STREAM_INTERRUPTED = "stream_interrupted"
    MODEL_SUBSTITUTED = "model_substituted"
    CONTEXT_EXCEEDED = "context_exceeded"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    CONTENT_BLOCKED = "content_blocked"
    INVALID_REQUEST = "invalid_request"
    LOCAL_OVERLOADED = "local_overloaded"
    LOCAL_RUNNER_CRASHED = "local_runner_crashed"
    LOCAL_MODEL_MISSING = "local_model_missing"
    PRIVACY_BOUNDARY = "privacy_boundary"
    PROCESS_OVERLOADED = "process_overloaded"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Effect(Enum):
    """What a fault does to the target's circuit breaker."""

    COUNTS = "counts"  # toward the failure rate
    OPENS = "opens"  # at once, for a time
    IGNORES = "ignores"  # says nothing about the target's health


class Elsewhere(Enum):
    """Whether another target may answer after this fault."""

    YES = "yes"
    NO = "no"  # the provider's own exception reaches the caller unchanged
    LARGER = "not to a smaller window"
    POLICY = "by policy"  # the route's `fail_over_on` decides
    LOCAL = "only to a local target"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    `retried`: the same target may be asked again within one call; `break_for` is how many
    seconds the breaker opens when the provider names no time itself; None: as long as after
    any failure.
    """

    breaker: Effect
    retried: bool
    elsewhere: Elsewhere
    meaning: str
    break_for: float | None = None
    alert: bool = False  # a person has to act: said once, loudly, when the breaker opens


_COUNTS, _OPENS, _IGNORES = Effect.COUNTS, Effect.OPENS, Effect.IGNORES
_YES, _NO, _LARGER, _POLICY = Elsewhere.YES, Elsewhere.NO, Elsewhere.LARGER, Elsewhere.POLICY

RULES: Mapping[Fault, Rule] = MappingProxyType(
    {
        Fault.CONNECTION_ERROR: Rule(_COUNTS, True, _YES, "refused, reset, or no such host"),
        Fault.TLS_ERROR: Rule(_COUNTS, True, _YES, "certificate or TLS handshake"),
        Fault.TIMEOUT: Rule(_COUNTS, False, _YES, "nothing in time: connect, first token or total"),
        Fault.STREAM_STALLED: Rule(_COUNTS, False, _YES, "the stream stayed open and fell silent"),
        Fault.SERVER_ERROR: Rule(_COUNTS, True, _YES, "the provider or a proxy before it broke"),
        Fault.OVERLOADED: Rule(_COUNTS, True, _YES, "the provider has no capacity left"),
        Fault.RATE_LIMITED: Rule(_OPENS, False, _YES, "asked too fast; clears by waiting"),
        Fault.QUOTA_EXHAUSTED: Rule(
            _OPENS, False, _YES, "the account has no quota or credit left", 600.0, alert=True
        ),
        Fault.AUTH_FAILED: Rule(
            _OPENS, False, _YES, "the API key is wrong or gone", 300.0, alert=True
        ),
        Fault.PERMISSION_DENIED: Rule(
            _OPENS, False, _YES, "this account or region may not", 300.0, alert=True
        ),
        Fault.MODEL_RETIRED: Rule(
            _OPENS, False, _YES, "the provider has retired the model", math.inf, alert=True
        ),
        Fault.MODEL_NOT_FOUND: Rule(
            _OPENS, False, _YES, "no such model, or no access to it", 3600.0, alert=True
        ),
        Fault.EMPTY_RESPONSE: Rule(_COUNTS, True, _YES, "a success without an answer"),
        Fault.MALFORMED_RESPONSE: Rule(
            _COUNTS, True, _YES, "HTML, broken JSON or an error under status 200"
        ),
        Fault.STREAM_TRUNCATED: Rule(
            _COUNTS, True, _YES, "the answer ended without the provider's end mark"
        ),
        Fault.STREAM_INTERRUPTED: Rule(_COUNTS, True, _YES, "the stream broke in the middle"),
        Fault.MODEL_SUBSTITUTED: Rule(_IGNORES, False, _POLICY, "another model answered"),
        Fault.CONTEXT_EXCEEDED: Rule(_IGNORES, False, _LARGER, "the prompt does not fit the model"),
        Fault.PAYLOAD_TOO_LARGE: Rule(_IGNORES, False, _LARGER, "the request is too big to accept"),
        Fault.CONTENT_BLOCKED: Rule(_IGNORES, False, _POLICY, "a safety filter refused"),
        Fault.INVALID_REQUEST: Rule(_IGNORES, False, _NO, "the caller's own mistake"),
        Fault.LOCAL_OVERLOADED: Rule(
            _COUNTS, False, _YES, "the local server is full or out of memory"
        ),
        Fault.LOCAL_RUNNER_CRASHED: Rule(_COUNTS, False, _YES, "the local model's process died"),
        Fault.LOCAL_MODEL_MISSING: Rule(
            _OPENS, False, _YES, "the local model is not pulled", 30.0, alert=True
        ),
        Fault.PRIVACY_BOUNDARY: Rule(
            _OPENS,
            False,
            Elsewhere.LOCAL,
            "a local name that runs in a cloud",
            math.inf,
            alert=True,
        ),
        Fault.PROCESS_OVERLOADED: Rule(
            _IGNORES,
            False,
            _YES,
            "this process was too busy to ask, or to read the answer, in time",
        ),
        Fault.REJECTED: Rule(_IGNORES, False, _YES, "the caller's `accept` refused the answer"),
        Fault.UNKNOWN: Rule(_COUNTS, False, _YES, "anything else"),
    }
)
