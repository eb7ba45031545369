"""The events of a stream, and whole answers, as each dialect has them on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pilotlight.dialects.base import Json
from pilotlight.wire.http import dumped

JSON_TYPE: Final = "application/json"
_EVENTS: Final = "text/event-stream; charset=utf-8"


def _plain(event: Json) -> bytes:
    return b"data: %b\n\n" % dumped(event)


def _named(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event.get("type", "")).encode(), dumped(event))


def _of_gemini(event: Json) -> bytes:
    return b"data: %b\r\n\r\n" % dumped(event)


def _line(event: Json) -> bytes:
    return dumped(dated(event)) + b"\n"


def dated(said: Json) -> Json:
    """Return what Ollama says with its time."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return said if "error" in said else {"created_at": now, **said}


@dataclass(frozen=True, slots=True)
class Framing:
    """How one dialect's events stand on the wire, and what comes after the last of them."""

    content_type: str
    frame: Callable[[Json], bytes]
    last_word: bytes = b""


FRAMINGS: Final[Mapping[str, Framing]] = {
    "openai_chat": Framing(_EVENTS, _plain, b"data: [DONE]\n\n"),
    "openai_responses": Framing(_EVENTS, _named),
    "anthropic_messages": Framing(_EVENTS, _named),
    "gemini": Framing(_EVENTS, _of_gemini),
    "ollama": Framing("application/x-ndjson", _line),
}


def error_event(dialect: str, refusal: Json) -> bytes:
    """Return an error in the middle of a stream."""
    if dialect == "openai_responses":
        error = refusal["error"]
        told = {"code": error["code"], "message": error["message"], "param": None}
        # `error` besides: by it the openai SDK tells an error from an event.
        refusal = {"type": "error", "sequence_number": 0, **told, **refusal}
    return FRAMINGS[dialect].frame(refusal)


def in_chat(chunk: Json) -> Json:
    """Return a chunk as OpenAI has it, where the one with the tokens has no choice."""
    choices: list[Any] = chunk.get("choices") or []
    empty = len(choices) == 1 and not choices[0].get("delta")
    if chunk.get("usage") and empty and not choices[0].get("finish_reason"):
        return {**chunk, "choices": []}
    return chunk
