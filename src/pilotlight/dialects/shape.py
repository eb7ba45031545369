"""Answers and chunks of the pivot, made of what an API has said."""

from __future__ import annotations

from typing import Any

from pilotlight.dialects.base import Asked, Json
from pilotlight.dialects.fields import part, present, text


def completion(asked: Asked, id: str | None, model: str | None, choices: list[Json]) -> Json:
    """Return a whole answer, yet without its usage."""
    return {
        "id": id or asked.id,
        "object": "chat.completion",
        "created": asked.created,
        "model": model or asked.model,
        "choices": choices,
    }


def usage_of(
    prompt: int,
    completion: int,
    *,
    cached: int = 0,
    reasoning: int = 0,
    **more: Any,
) -> Json:
    """Return the tokens; parts of none are left out."""
    usage: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage | {name: value for name, value in more.items() if value}


def call_of(id: str, name: str, arguments: str) -> Json:
    """Return a call of a function."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


class Calls:
    """Puts the calls of a stream together that come in pieces."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[int, Json] = {}

    def add(self, call: Json) -> None:
        """Take a piece of a call."""
        known = self._calls.setdefault(call.get("index", 0), {})
        for kind, said in (("function", "arguments"), ("custom", "input")):
            if given := part(call, kind):
                old = part(known, kind)
                whole = (text(old, said) or "") + (text(given, said) or "")
                known[kind] = {**old, **present(name=text(given, "name")), said: whole}
        more = ("id", "provider_specific_fields")
        known |= {name: call[name] for name in more if call.get(name)}

    def whole(self) -> list[Json]:
        """Return the calls in their order."""
        return [call for _, call in sorted(self._calls.items())]


class Chunks:
    """Makes the chunks of one stream: each has the head of the first."""

    __slots__ = ("_begun", "head")

    def __init__(self, asked: Asked) -> None:
        self.head: Json = {
            "id": asked.id,
            "object": "chat.completion.chunk",
            "created": asked.created,
            "model": asked.model,
        }
        self._begun: set[int] = set()  # choices whose role was told

    def name(self, id: str | None, model: str | None) -> None:
        """Take over the answer's own id and model."""
        self.head["id"] = id or self.head["id"]
        self.head["model"] = model or self.head["model"]

    @property
    def id(self) -> str:
        """The answer's id."""
        return str(self.head["id"])

    def said(self, delta: Json, index: int = 0, finish: str | None = None) -> Json:
        """Return a chunk of one choice; the first of each choice tells the role."""
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", "content": "", **delta}
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return {**self.head, "choices": [choice]}

    def counted(self, usage: Json) -> Json:
        """Return the last chunk, which has no choice."""
        return {**self.head, "choices": [], "usage": usage}
