"""A refusal in the caller's dialect: the status and the words by which its SDK knows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.diagnosis.exceptions import status_of
from pilotlight.dialects.base import Json
from pilotlight.dialects.base import Refusal as Words
from pilotlight.doors.exchange.framing import JSON_TYPE
from pilotlight.doors.exchange.reply import Reply
from pilotlight.errors import (
    AllTargetsFailed,
    BudgetSpent,
    ConfigError,
    DeadlineExceeded,
    InvalidCall,
    PilotlightError,
    ProviderFault,
    StreamInterrupted,
)
from pilotlight.plain import logger
from pilotlight.providers.relay.relay import Refusal
from pilotlight.providers.relay.ways import dialect_named
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import Receipt
from pilotlight.wire.http import dumped

_log = logger("pilotlight")
# What HTTP has for a fault that no status was told for.
STATUSES: Final[Mapping[Fault, int]] = {
    Fault.TIMEOUT: 504,
    Fault.STREAM_STALLED: 504,
    Fault.SERVER_ERROR: 500,
    Fault.RATE_LIMITED: 429,
    Fault.QUOTA_EXHAUSTED: 429,
    Fault.AUTH_FAILED: 401,
    Fault.PERMISSION_DENIED: 403,
    Fault.PRIVACY_BOUNDARY: 403,
    Fault.MODEL_RETIRED: 404,
    Fault.MODEL_NOT_FOUND: 404,
    Fault.LOCAL_MODEL_MISSING: 404,
    Fault.EMPTY_RESPONSE: 502,
    Fault.MALFORMED_RESPONSE: 502,
    Fault.STREAM_TRUNCATED: 502,
    Fault.STREAM_INTERRUPTED: 502,
    Fault.MODEL_SUBSTITUTED: 502,
    Fault.REJECTED: 502,
    Fault.CONTEXT_EXCEEDED: 400,
    Fault.CONTENT_BLOCKED: 400,
    Fault.INVALID_REQUEST: 400,
    Fault.PAYLOAD_TOO_LARGE: 413,
}
_UNAVAILABLE: Final = 503  # any other fault: it can't be reached, or has no room
_SKIPPED: Final[Mapping[str, int]] = {
    "residency": 403,
    "unsupported": 400,
    "retired": 404,
    "budget": 429,
    "price": 403,
}
_RAISED: Final[Mapping[type[PilotlightError], int]] = {
    DeadlineExceeded: 504,
    BudgetSpent: 429,
    InvalidCall: 400,
    ConfigError: 403,
}
# Sources: the pages on errors of OpenAI, Anthropic and Google (google.rpc.Code).
_OPENAI: Final[Mapping[int, str]] = {
    400: "invalid_request_error", 401: "invalid_api_key", 403: "permission_error",
    404: "not_found_error", 413: "invalid_request_error", 429: "rate_limit_exceeded",
}  # fmt: skip
_ANTHROPIC: Final[Mapping[int, str]] = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_GOOGLE: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_KINDS: Final[Mapping[str, tuple[Mapping[int, str], str]]] = {
    "openai_chat": (_OPENAI, "server_error"),
    "openai_responses": (_OPENAI, "server_error"),
    "anthropic_messages": (_ANTHROPIC, "api_error"),
    "gemini": (_GOOGLE, "INTERNAL"),
    "ollama": ({}, ""),
}
_LONGEST: Final = 2000  # characters of a message


def words_of(dialect: str, status: int, message: str) -> Json:
    """Return an error as the dialect says it."""
    kinds, otherwise = _KINDS[dialect]
    said = Words(message[:_LONGEST], kinds.get(status, otherwise), status)
    return dialect_named(dialect).write_refusal(said)


def refused(
    dialect: str,
    status: int,
    message: str,
    *,
    retry_after: float | None = None,
    retry: bool = False,
    recorder: CallRecorder | None = None,
) -> Reply:
    """Return a refusal; `retry` tells SDKs that asking again by themselves may help.

    `retry_after` is in seconds.
    """
    headers = {"content-type": JSON_TYPE, "x-should-retry": "true" if retry else "false"}
    if retry_after is not None and math.isfinite(retry_after):
        headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    body = dumped(words_of(dialect, status, message))
    return Reply(status, headers, body, recorder=recorder)


def refusal_of(dialect: str, error: Exception, recorder: CallRecorder | None = None) -> Reply:
    """Return what a call's exception is to a caller.

    Where the target that was asked first has refused in the caller's own dialect, it is that
    refusal, as it came; else its status, or the one that its fault has in HTTP.
    """
    if (own := _own_refusal(dialect, error)) is not None:
        kept = {**own.headers, "x-should-retry": "false"}
        return Reply(own.status_code, kept, own.body, recorder=recorder)
    if not isinstance(error, PilotlightError) and status_of(error) is None:
        quiet = recorder is not None and recorder.private
        name = type(error).__name__
        _log.error("a call failed by a bug: %s", name, exc_info=None if quiet else error)
    wait = getattr(error, "retry_after", None)
    return refused(
        dialect, status_for(error), message_of(error), retry_after=wait, recorder=recorder
    )


def _own_refusal(dialect: str, error: Exception) -> Refusal | None:
    if isinstance(error, Refusal):
        return error if error.status_code >= 400 else None
    if not isinstance(error, AllTargetsFailed) or error.receipt is None:
        return None
    attempts = error.receipt.attempts
    first = next((each for each in error.exceptions if isinstance(each, Refusal)), None)
    own = first is not None and attempts and first.target == attempts[0].target
    if not own or first is None or first.status_code < 400:
        return None
    return first if first.dialect == dialect else None


def status_for(error: Exception) -> int:
    """Return the HTTP status of what a call raised."""
    if isinstance(error, AllTargetsFailed):
        return _UNAVAILABLE if error.receipt is None else _of_receipt(error.receipt)
    for kind, status in _RAISED.items():
        if isinstance(error, kind):
            return status
    if isinstance(error, ProviderFault | StreamInterrupted):
        return STATUSES.get(Fault(error.fault), _UNAVAILABLE)
    told = status_of(error)
    return told if told is not None and 400 <= told < 600 else 500


def _of_receipt(receipt: Receipt) -> int:
    if receipt.attempts:
        first = receipt.attempts[0]
        told = [each for each in receipt.attempts if each.target == first.target][-1]
        if told.status is not None and told.status >= 400:
            return told.status
        return _UNAVAILABLE if told.fault is None else STATUSES.get(told.fault, _UNAVAILABLE)
    reasons = {skip.reason for skip in receipt.skipped}
    return _SKIPPED.get(reasons.pop(), _UNAVAILABLE) if len(reasons) == 1 else _UNAVAILABLE


def message_of(error: Exception) -> str:
    """Return what a caller is told: our own words of a group, whose members may quote others.

    Of a bug its kind alone: its words may quote anybody.
    """
    if isinstance(error, AllTargetsFailed):
        return error.message
    if isinstance(error, PilotlightError) or status_of(error) is not None:
        return str(error)
    return f"the call failed by a bug: {type(error).__name__}"
