"""The model lists of the closed providers, with the lifecycle dates that each really gives."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from .answers import Ask
from .dialects import Dialect
from .faults import make_fault
from .http import Json, Reply
from .models import HostedModel

CREATED = 1_715_367_049
CREATED_AT = "2025-09-29T00:00:00Z"


def listing(dialect: Dialect, models: Iterable[HostedModel], wanted: str) -> Reply:
    """Return the list of a provider's models, or the one that is wanted."""
    own = [model for model in models if model.dialect == dialect.name]
    if wanted:
        found = [model for model in own if model.name == wanted.removeprefix("models/")]
        if not found:
            ask = Ask(dialect.name, dialect.name, wanted, False, {})
            return dialect.refusal(ask, make_fault("not_found", {}))
        return Reply(_entry(found[0]))
    entries = [_entry(model) for model in own]
    return Reply(_page(dialect.name, entries))


def _page(dialect: str, entries: list[Json]) -> Json:
    if dialect == "gemini":
        return {"models": entries}
    if dialect == "openai":
        return {"object": "list", "data": entries}
    ids = [entry["id"] for entry in entries]
    return {
        "data": entries,
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


def _entry(model: HostedModel) -> Json:
    if model.dialect == "gemini":  # gives no lifecycle
        return {
            "name": f"models/{model.name}",
            "displayName": model.name,
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }
    if model.dialect == "openai":
        base = {"id": model.name, "object": "model", "created": CREATED, "owned_by": "system"}
        return base | ({"shutdown_date": model.retires} if model.retires else {})
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": CREATED_AT,
        "lifecycle": _lifecycle(model.retires),
        "deprecated_at": CREATED_AT if model.retires else None,
        "retires_at": f"{model.retires}T00:00:00Z" if model.retires else None,
    }


def _lifecycle(retires: str | None) -> str:
    if retires is None:
        return "active"
    return "retired" if retires <= datetime.now(UTC).date().isoformat() else "deprecated"
