"""What can be answered without a call: which models there are, and how long a prompt is.

Sources: the API references of OpenAI and Anthropic (models, count tokens), of Google
(models.list, countTokens) and of Ollama (tags, show, version).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pilotlight.core.requirements import estimate
from pilotlight.dialects import anthropic_messages, gemini
from pilotlight.doors.gateway.paths import DialectName

Json = dict[str, Any]

OLLAMA: Final = "0.33.0"  # the version whose API is spoken
_SINCE: Final = "2026-01-01T00:00:00Z"  # routes have no date of birth, and the APIs want one
_SINCE_EPOCH: Final = 1767225600
_METHODS: Final = ["generateContent", "streamGenerateContent", "countTokens"]


def models(dialect: DialectName, names: Iterable[str]) -> Json:
    """Return the list of models of a dialect.

    OpenAI's and Anthropic's stand at one address: the answer is both at once.
    """
    if dialect == "gemini":
        return {"models": [model(dialect, name) for name in names]}
    if dialect == "ollama":
        return {"models": [_tag(name) for name in names]}
    data = [model(dialect, name) for name in names]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {"object": "list", "data": data, "has_more": False, **ends}


def model(dialect: DialectName, name: str) -> Json:
    """Return one model."""
    if dialect == "gemini":
        shown = {"displayName": name, "supportedGenerationMethods": _METHODS}
        return {"name": f"models/{name}", "baseModelId": name, "version": "1", **shown}
    ours = {"object": "model", "created": _SINCE_EPOCH, "owned_by": "pilotlight"}
    return {"id": name, **ours, "type": "model", "display_name": name, "created_at": _SINCE}


def _tag(name: str) -> Json:
    return {
        "name": name,
        "model": name,
        "modified_at": _SINCE,
        "size": 0,
        "digest": "",
        "details": _DETAILS,
    }


_DETAILS: Final[Json] = {
    "parent_model": "",
    "format": "",
    "family": "pilotlight",
    "families": ["pilotlight"],
    "parameter_size": "",
    "quantization_level": "",
}


def shown() -> Json:
    """Return what Ollama shows of a model."""
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _DETAILS,
        "model_info": {},
        "capabilities": ["completion", "tools"],
        "modified_at": _SINCE,
    }


def tokens(dialect: DialectName, body: Any) -> Json:
    """Return a high guess of a prompt's tokens; raises `dialects.base.Unreadable`.

    A guess, for the models of a route count differently, and a private prompt must not be sent
    to be counted.
    """
    if dialect == "gemini":
        wrapped = body.get("generateContentRequest") if isinstance(body, dict) else None
        request = gemini.read_request(wrapped or body).request
        return {"totalTokens": estimate(request["messages"], request)}
    request = anthropic_messages.read_request(body).request
    return {"input_tokens": estimate(request["messages"], request)}
