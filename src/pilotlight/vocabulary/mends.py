"""What a person can do about a target that did not answer, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.receipt import AttemptRecord, SkipRecord

TOO_LONG: Final = (
    "shorten the prompt, set a larger `context` where it is your own, "
    "or add a target that takes more"
)
_HOSTED: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.CONNECTION_ERROR: "is the network there, and is its api_base right?",
        Fault.TLS_ERROR: "its certificate is not trusted here: SSL_CERT_FILE, or a proxy between?",
        Fault.QUOTA_EXHAUSTED: "add credit to the account, or use another key",
        Fault.AUTH_FAILED: "its API key is refused: set another",
        Fault.PERMISSION_DENIED: "its account may not use {model}",
        Fault.MODEL_RETIRED: "name another model",
        Fault.MODEL_NOT_FOUND: "does it have {model}, and may this account use it?",
    }
)
_LOCAL: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.CONNECTION_ERROR: "no Ollama answers; start it with `ollama serve`",
        Fault.LOCAL_MODEL_MISSING: "{model} is not there: `pilotlight pull {target}`",
        Fault.LOCAL_OVERLOADED: "is there memory for {model}? `ollama ps` shows what is loaded",
        Fault.LOCAL_RUNNER_CRASHED: "the log of `ollama serve` says why",
    }
)
_ANY: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.CONTEXT_EXCEEDED: TOO_LONG,
        Fault.PAYLOAD_TOO_LARGE: "send less at once",
        Fault.PRIVACY_BOUNDARY: "name a model that runs at home",
    }
)
_SKIPPED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "budget": "raise the `usd` of the budget, or add a target that costs nothing",
        "price": "raise its `max_price`, give its `price`, or name a cheaper model",
    }
)


def mend(record: AttemptRecord | SkipRecord) -> str:
    """Return what can be done about one attempt, or one target that was not asked; empty: wait."""
    if isinstance(record, SkipRecord):
        return TOO_LONG if record.detail == "context" else _SKIPPED.get(record.reason, "")
    if record.fault is None:
        return ""
    if record.fault is Fault.AUTH_FAILED and record.status is None and record.evidence:
        return record.evidence  # it was not asked: there is no key
    place = _LOCAL if record.model.startswith("ollama") else _HOSTED
    said = place.get(record.fault) or _ANY.get(record.fault, "")
    return said.format(model=record.model.partition("/")[2], target=record.target)
