"""Chunks of the pivot as the events of a streamed response."""

from __future__ import annotations

import copy
from typing import Any, Final

from pilotlight.dialects.base import Json
from pilotlight.dialects.fields import objects, part, text
from pilotlight.dialects.openai_responses.caller import (
    ECHOES,
    call_item,
    ending_of,
    flat_citation,
    message_item,
    usage_from,
)

_PARTS: Final = {"output_text": "text", "refusal": "refusal", "summary_text": "text"}
_EMPTY: Final[dict[str, Json]] = {"output_text": {"annotations": [], "logprobs": []}}
_CALLS: Final = {"arguments": "function_call_arguments", "input": "custom_tool_call_input"}
_FIELDS: Final = {"custom_tool_call": "input", "function_call": "arguments"}


class Writer:
    """Writes one stream; see `base.Writer`.  Of the choices it tells the first.

    Items may be told side by side: each event names the place of its item.
    """

    def __init__(self) -> None:
        self._head: Json = {}
        self._number = 0
        self._items: list[Json] = []
        self._spoken: dict[str, int] = {}  # the item of each kind of what is said
        self._calls: dict[int, int] = {}  # the item of each call, by its place among the calls
        self._choice: Json = {}
        self._usage: Json = {}

    def feed(self, chunk: Json) -> list[Json]:
        """Take the next chunk; return the events that it makes."""
        events = self._start(chunk)
        self._usage = part(chunk, "usage") or self._usage
        for choice in objects(chunk, "choices"):
            if choice.get("index", 0) != 0:
                continue
            delta = part(choice, "delta")
            for kind, name in _SAID:
                if said := text(delta, name):
                    events += self._say(kind, said)
            for each in objects(delta, "annotations"):
                events += self._cite(flat_citation(each))
            for call in objects(delta, "tool_calls"):
                events += self._call(call)
            if choice.get("finish_reason"):
                self._choice = choice
        return events

    def finish(self) -> list[Json]:
        """Return the events of the end: there the tokens are known."""
        events: list[Json] = []
        for kind in self._spoken:
            said = self._piece(kind)
            name = "reasoning_summary_text" if kind == "summary_text" else kind
            done = {_PARTS[kind]: said[_PARTS[kind]]}
            done |= {"logprobs": []} if kind == "output_text" else {}
            events.append(self._event(f"response.{name}.done", **self._at(kind), **done))
            events.append(self._part_event(kind, "done", part=said))
        for place, item in enumerate(self._items):
            if field := _FIELDS.get(item["type"]):
                at = {"output_index": place, "item_id": item["id"], field: item[field]}
                at["name"] = item["name"]
                events.append(self._event(f"response.{_CALLS[field]}.done", **at))
            item["status"] = "completed"
            events.append(self._event("response.output_item.done", output_index=place, item=item))
        ends = ending_of(self._choice)
        response = {**self._head, **ends, "output": self._items, "usage": usage_from(self._usage)}
        return [*events, self._event(f"response.{ends['status']}", response=response)]

    def _event(self, kind: str, **fields: Any) -> Json:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}

    def _start(self, chunk: Json) -> list[Json]:
        if self._head:
            return []
        self._head = {
            "id": chunk["id"], "created_at": chunk["created"], "model": chunk["model"], **ECHOES,
        }  # fmt: skip
        response = {**self._head, "status": "in_progress", "output": []}
        kinds = ("response.created", "response.in_progress")
        return [self._event(kind, response=response) for kind in kinds]

    def _add(self, item: Json) -> tuple[int, list[Json]]:
        place = len(self._items)
        self._items.append(item)
        begun = {**item, "status": "in_progress"}
        for name in ("content", "summary"):
            if name in begun:
                begun[name] = []
        return place, [self._event("response.output_item.added", output_index=place, item=begun)]

    def _say(self, kind: str, said: str) -> list[Json]:
        events: list[Json] = []
        answer_id = str(self._head["id"])
        if kind not in self._spoken:
            piece: Json = {"type": kind, _PARTS[kind]: "", **copy.deepcopy(_EMPTY.get(kind, {}))}
            if kind == "summary_text":
                item: Json = {"type": "reasoning", "id": f"rs_{answer_id}", "summary": [piece]}
            else:
                suffix = "_refusal" if kind == "refusal" else ""
                item = message_item(answer_id + suffix, [piece])
            self._spoken[kind], events = self._add(item)
            events.append(self._part_event(kind, "added", part=copy.deepcopy(piece)))
        self._piece(kind)[_PARTS[kind]] += said
        more: Json = {"logprobs": []} if kind == "output_text" else {}
        name = "reasoning_summary_text" if kind == "summary_text" else kind
        at = self._at(kind)
        return [*events, self._event(f"response.{name}.delta", **at, delta=said, **more)]

    def _cite(self, citation: Json) -> list[Json]:
        begun = [] if "output_text" in self._spoken else self._say("output_text", "")
        cited = self._piece("output_text")["annotations"]
        cited.append(citation)
        at = {**self._at("output_text"), "annotation_index": len(cited) - 1}
        kind = "response.output_text.annotation.added"
        return [*begun, self._event(kind, **at, annotation=citation)]

    def _piece(self, kind: str) -> Json:
        item = self._items[self._spoken[kind]]
        piece: Json = item["summary" if kind == "summary_text" else "content"][0]
        return piece

    def _at(self, kind: str) -> Json:
        place = self._spoken[kind]
        index = "summary_index" if kind == "summary_text" else "content_index"
        return {"output_index": place, "item_id": self._items[place]["id"], index: 0}

    def _part_event(self, kind: str, what: str, **fields: Any) -> Json:
        name = "reasoning_summary_part" if kind == "summary_text" else "content_part"
        return self._event(f"response.{name}.{what}", **self._at(kind), **fields)

    def _call(self, call: Json) -> list[Json]:
        place = call.get("index", 0)
        events: list[Json] = []
        if place not in self._calls:
            empty = {"function": {**part(call, "function"), "arguments": ""}}
            if own := part(call, "custom"):
                empty = {"custom": {**own, "input": ""}}
            self._calls[place], events = self._add(call_item({**call, **empty}))
        item = self._items[self._calls[place]]
        field = _FIELDS[item["type"]]
        said = text(part(call, "custom") or part(call, "function"), field)
        if not said:
            return events
        item[field] += said
        at = {"output_index": self._calls[place], "item_id": item["id"]}
        return [*events, self._event(f"response.{_CALLS[field]}.delta", **at, delta=said)]


_SAID: Final = (
    ("summary_text", "reasoning_content"),
    ("output_text", "content"),
    ("refusal", "refusal"),
)
