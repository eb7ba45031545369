"""The closed sets of values: what is not in one of them is `other`, or `_OTHER` for errors.

Metrics live on this: a label that anybody could fill would grow without end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pilotlight.vocabulary.faults import RULES, Effect, Fault

if TYPE_CHECKING:
    from pilotlight.vocabulary.receipt import AttemptRecord, Receipt

OTHER: Final = "other"
OTHER_ERROR: Final = "_OTHER"

OUTCOMES: Final = frozenset(
    {"primary", "failover", "exhausted", "interrupted", "abandoned", "cancelled"}
)
SKIP_REASONS: Final = frozenset(
    {
        "breaker_open",
        "suspected",
        "asked_to_wait",
        "saturated",
        "unsupported",
        "residency",
        "retired",
        "drill",
        "budget",
        "price",
    }
)
FAILOVER_REASONS: Final = frozenset(Fault) | SKIP_REASONS
STATES: Final = ("closed", "open", "half_open")
BREAKER_REASONS: Final = frozenset(
    {
        "failure_threshold",
        "failure_rate",
        "consecutive_failures",
        "probe_succeeded",
        "probe_failed",
        "cooldown_elapsed",
        "forced",
        "health_check",
    }
)
ROLES: Final = ("primary", "fallback")
PLACES: Final = ("inside", "waiting")

# By the GenAI conventions where they name a provider, else as litellm does.
_PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "azure_ai": "azure.ai.inference",
        "bedrock": "aws.bedrock",
        "cohere_chat": "cohere",
        "gemini": "gcp.gemini",
        "mistral": "mistral_ai",
        "moonshot": "moonshot_ai",
        "ollama_chat": "ollama",
        "vertex_ai": "gcp.vertex_ai",
        "watsonx": "ibm.watsonx.ai",
        "xai": "x_ai",
    }
)

_SDKS: Final = ("openai", "anthropic", "litellm")
_UNANSWERED: Final = ("APIConnectionError", "APIError", "APIResponseValidationError")
_NETWORK: Final = (
    "CloseError",
    "ConnectError",
    "DecodingError",
    "LocalProtocolError",
    "PoolTimeout",
    "ProxyError",
    "ReadError",
    "RemoteProtocolError",
    "UnsupportedProtocol",
    "WriteError",
)
ERRORS: Final = frozenset(
    [
        *(f"{sdk}.{name}" for sdk in _SDKS for name in _UNANSWERED),
        *(f"httpx.{name}" for name in _NETWORK),
        "ConnectionError",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "BrokenPipeError",
        "OSError",
        "json.decoder.JSONDecodeError",
        "ollama._types.ResponseError",
        "pilotlight.errors.AllTargetsFailed",
        "pilotlight.errors.PromptTruncated",
        "pilotlight.errors.ProviderFault",
        "ssl.SSLCertVerificationError",
        "ssl.SSLError",
    ]
)
"""The classes of exceptions that are named; their texts never are."""

_TIMED_OUT: Final = frozenset({Fault.TIMEOUT, Fault.STREAM_STALLED})
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,47}")


def provider_name(model: str) -> str:
    """Return `gen_ai.provider.name` for litellm's `provider/model`."""
    prefix = model.partition("/")[0]
    return _PROVIDERS.get(prefix, prefix)


def one_of(value: str, words: frozenset[str]) -> str:
    """Return the word if it is in the set, else `other`."""
    return str(value) if value in words else OTHER


def state(name: str) -> str:
    """Return a breaker's state as telemetry writes it."""
    return name.replace("-", "_")


def error_type(record: AttemptRecord) -> str:
    """Return `error.type`: the HTTP status of a refusal, `timeout`, or a known class."""
    if record.fault in _TIMED_OUT:
        return "timeout"
    if record.status is not None and record.status >= 300:
        return str(record.status)
    return _class(record.error_type)


def call_error(receipt: Receipt) -> str:
    """Return `error.type` of a call that failed: that of its last attempt."""
    if receipt.attempts and receipt.attempts[-1].fault is not None:
        return error_type(receipt.attempts[-1])
    return "pilotlight.errors.AllTargetsFailed" if receipt.outcome == "exhausted" else OTHER_ERROR


def description(record: AttemptRecord) -> str:
    """Return a status description: class, status and the provider's code; never its words."""
    status = str(record.status) if record.status is not None else ""
    code = record.code if record.code and _CODE.fullmatch(record.code) else ""
    return " ".join(part for part in (_class(record.error_type), status, code) if part)


def transition_reason(old: str, new: str, reason: str) -> str:
    """Return why a breaker moved, of the closed set."""
    if new == "half-open":
        return "cooldown_elapsed"
    if reason in _REASONS:
        return _REASONS[reason]
    if reason in _OPENING:
        return "probe_failed" if old == "half-open" else "failure_threshold"
    return OTHER


_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "failure_rate": "failure_rate",
        "consecutive_failures": "consecutive_failures",
        "slow_call_rate": "failure_rate",  # a call too slow counts as one that failed
        "forced": "forced",
        "trial_failed": "probe_failed",
        "trial_succeeded": "probe_succeeded",
        "health_check": "health_check",
    }
)
_OPENING: Final = frozenset(fault for fault, rule in RULES.items() if rule.breaker is Effect.OPENS)


def _class(name: str | None) -> str:
    short = (name or "").removeprefix("builtins.")
    for sdk in (*_SDKS, "httpx"):
        if short.startswith(f"{sdk}."):  # they are defined in private modules
            short = f"{sdk}.{short.rpartition('.')[2]}"
    return short if short in ERRORS else OTHER_ERROR
