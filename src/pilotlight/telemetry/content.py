"""Prompts and answers, for those who have asked for them; by default nothing is kept.

The switch is OpenTelemetry's: `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is one
of `NO_CONTENT SPAN_ONLY EVENT_ONLY SPAN_AND_EVENT`.  A private call is never captured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from pilotlight.core.provider import Call
from pilotlight.routes.answer import chunk_text
from pilotlight.telemetry import names

VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@dataclass(frozen=True, slots=True)
class Capture:
    """Where message content goes."""

    on_spans: bool = False
    on_events: bool = False

    def __bool__(self) -> bool:
        return self.on_spans or self.on_events

    @classmethod
    def from_environment(cls) -> Capture:
        """Read the switch; what is not one of its four values means no content."""
        value = os.environ.get(VARIABLE, "").strip().upper()
        return cls(
            value in ("SPAN_ONLY", "SPAN_AND_EVENT"), value in ("EVENT_ONLY", "SPAN_AND_EVENT")
        )


@dataclass(slots=True)
class Content:
    """What was asked and answered in one leg."""

    call: Call
    answer: list[str] = field(default_factory=list)

    def heard(self, value: Any) -> None:
        """Note an answer."""
        with suppress(Exception):  # a decorated function returns what it likes
            text = value if isinstance(value, str) else value.text
            self.answer.append(str(text))

    def heard_chunk(self, chunk: Any) -> None:
        """Note a piece of a stream."""
        with suppress(Exception):
            self.answer.append(chunk if isinstance(chunk, str) else str(chunk_text(chunk)))

    def attributes(self, finish_reason: str | None) -> dict[str, Any]:
        """Return the content as structured values."""
        found: dict[str, Any] = {}
        if self.call.messages:
            found[names.INPUT] = [_message(each) for each in self.call.messages]
        if text := "".join(self.answer):
            said = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
            found[names.OUTPUT] = [said | {"finish_reason": finish_reason or "stop"}]
        if tools := self.call.options.get("tools"):
            found[names.TOOLS] = tools
        return found


def as_json(found: Mapping[str, Any]) -> dict[str, str]:
    """Return structured values as spans hold them: JSON strings."""
    return {
        name: json.dumps(value, ensure_ascii=False, default=str) for name, value in found.items()
    }


def _message(message: Any) -> dict[str, Any]:
    mapped = isinstance(message, Mapping)
    said = (
        message if mapped else {name: getattr(message, name, None) for name in ("role", "content")}
    )
    content = said.get("content")
    if isinstance(content, str):
        parts: list[Any] = [{"type": "text", "content": content}]
    elif isinstance(content, Sequence):
        parts = [_part(each) for each in content]
    else:
        parts = []
    return {"role": said.get("role"), "parts": parts}


def _part(part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") == "text":
        return {"type": "text", "content": part.get("text")}
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    return {"type": str(kind)}  # images and sounds are named, not copied
