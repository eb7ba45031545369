"""What a target can do, as far as it is known: told, learned, or in litellm's table.

What is not known counts as there: a guess must never be the reason that a call failed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from pilotlight.catalog import models
from pilotlight.core.requirements import ABILITIES

if TYPE_CHECKING:
    from pilotlight.providers.connection import Connection


_FLAGS: Final[Mapping[str, str]] = {
    "tools": "supports_function_calling",
    "images": "supports_vision",
    "json_schema": "supports_response_schema",
    "thinking": "supports_reasoning",
    "audio": "supports_audio_input",
    "files": "supports_pdf_input",
}
_OLLAMA_WORDS: Final = {
    "tools": "tools",
    "vision": "images",
    "thinking": "thinking",
    "embedding": "embeddings",
}
# What a model of a mode does, in litellm's table; of a mode that is not here, nothing is known.
_MODES: Final[Mapping[str, Mapping[str, bool]]] = {
    "embedding": {"embeddings": True, "image_generation": False},
    "image_generation": {"embeddings": False, "image_generation": True},
    "chat": {"embeddings": False},  # and some of them draw
    "responses": {"embeddings": False},
    "completion": {"embeddings": False, "image_generation": False},
}


def from_ollama(capabilities: Collection[str]) -> frozenset[str]:
    """Translate Ollama's `capabilities`; a schema it can hold any model to, sound it can't take."""
    found = {ours for theirs, ours in _OLLAMA_WORDS.items() if theirs in capabilities}
    return frozenset((*found, "json_schema"))


def lacks(
    connection: Connection,
    told: Collection[str] | None,
    learned: Callable[[], frozenset[str]] = frozenset,
) -> Callable[[], frozenset[str]]:
    """Return what tells, at each call, which abilities the target certainly has not.

    `told` is the configuration's exact list, which wins; `learned` returns
    what a health check has found to be missing since.
    """

    def now() -> frozenset[str]:
        known = knowledge(connection, told)
        missing = frozenset(name for name, there in known.items() if not there)
        return missing if told is not None else missing | learned()

    return now


def knowledge(connection: Connection, told: Collection[str] | None) -> Mapping[str, bool]:
    """Return each ability of which it is known whether the target has it."""
    if told is not None:
        return {name: name in told for name in ABILITIES}
    if connection.wire == "ollama":
        # `/api/chat` takes text and images, and gives text.
        return {"audio": False, "files": False, "image_generation": False}
    if connection.spec.provider == "automatic1111":
        return {name: name == "image_generation" for name in ABILITIES}
    row = _row(connection)
    flags = {name: row[flag] for name, flag in _FLAGS.items() if isinstance(row.get(flag), bool)}
    return {**flags, **_MODES.get(row.get("mode", ""), {})}


def _row(connection: Connection) -> Mapping[str, Any]:
    """Return what litellm's table says of the model, where the name can only mean that one.

    At an address of the user's own, and on Azure, a name may stand for anything.
    The table is not read for it: the first call of a hosted model does that.
    """
    table = models.known()
    if table is None or connection.given_base or connection.spec.provider.startswith("azure"):
        return {}
    spec = connection.spec
    row = table.get(spec.model)
    if row is None:
        row = table.get(spec.bare_model, {})
        if row.get("litellm_provider") != spec.provider:
            return {}
    return row if isinstance(row, Mapping) else {}
