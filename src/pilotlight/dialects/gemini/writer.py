"""Chunks of the pivot as the events of Gemini's stream."""

from __future__ import annotations

from pilotlight.dialects.base import Json
from pilotlight.dialects.fields import objects, part
from pilotlight.dialects.gemini.caller import ending_of, parts_of, usage_from
from pilotlight.dialects.shape import Calls


class Writer:
    """Writes one stream; see `base.Writer`.  A call is told when all of it has come."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._calls: dict[int, Calls] = {}  # by the choice
        self._ends: dict[int, Json] = {}
        self._usage: Json = {}

    def feed(self, chunk: Json) -> list[Json]:
        """Take the next chunk; return the events that it makes."""
        self._head = {"responseId": chunk["id"], "modelVersion": chunk["model"]}
        self._usage = part(chunk, "usage") or self._usage
        events = []
        for choice in objects(chunk, "choices"):
            index, delta = choice.get("index", 0), part(choice, "delta")
            for call in objects(delta, "tool_calls"):
                self._calls.setdefault(index, Calls()).add(call)
            if choice.get("finish_reason"):
                self._ends[index] = ending_of(choice)
            spoken = {name: value for name, value in delta.items() if name != "tool_calls"}
            if parts := parts_of(spoken):
                events.append(self._event(index, parts))
        return events

    def finish(self) -> list[Json]:
        """Return the events of the end: there calls are whole, and the tokens known."""
        events = []
        for index in sorted(self._calls.keys() | self._ends.keys()):
            calls = self._calls[index].whole() if index in self._calls else []
            events.append(
                self._event(index, parts_of({"tool_calls": calls}), self._ends.get(index))
            )
        if not events:
            events = [dict(self._head)]
        events[-1]["usageMetadata"] = usage_from(self._usage)
        return events

    def _event(self, index: int, parts: list[Json], ends: Json | None = None) -> Json:
        content = {"role": "model", "parts": parts}
        return {**self._head, "candidates": [{"index": index, "content": content, **(ends or {})}]}
