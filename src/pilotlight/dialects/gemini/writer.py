"""Chunks of the pivot as the events of Gemini's stream."""

from __future__ import annotations

from pilotlight.dialects.base import Json
from pilotlight.dialects.fields import objects, part, present, text
from pilotlight.dialects.gemini.caller import ending_of, parts_of, usage_from


class Writer:
    """Writes one stream; see `base.Writer`.  A call is told when all of it has come."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._calls: dict[int, dict[int, Json]] = {}  # by the choice, by the place
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
                self._hold(index, call)
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
            calls = [call for _, call in sorted(self._calls.get(index, {}).items())]
            events.append(
                self._event(index, parts_of({"tool_calls": calls}), self._ends.get(index))
            )
        if not events:
            events = [dict(self._head)]
        events[-1]["usageMetadata"] = usage_from(self._usage)
        return events

    def _hold(self, index: int, call: Json) -> None:
        known = self._calls.setdefault(index, {}).setdefault(call.get("index", 0), {})
        for kind, said in (("function", "arguments"), ("custom", "input")):
            if given := part(call, kind):
                old = part(known, kind)
                whole = (text(old, said) or "") + (text(given, said) or "")
                known[kind] = {**old, **present(name=text(given, "name")), said: whole}
        more = ("id", "provider_specific_fields")
        known |= {name: call[name] for name in more if call.get(name)}

    def _event(self, index: int, parts: list[Json], ends: Json | None = None) -> Json:
        content = {"role": "model", "parts": parts}
        return {**self._head, "candidates": [{"index": index, "content": content, **(ends or {})}]}
