"""Chunks of the pivot as the events of Anthropic's stream."""

from __future__ import annotations

from typing import Final

from pilotlight.dialects.anthropic_messages.caller import ending_of, usage_from
from pilotlight.dialects.base import Json
from pilotlight.dialects.fields import objects, part, text

_DELTAS: Final = {"text": "text_delta", "thinking": "thinking_delta"}


class Writer:
    """Writes one stream; see `base.Writer`.  Of the choices it tells the first.

    Blocks come one after the other.  So once a call has begun, everything else is held until the
    end, when it is told as a whole: pieces of the call may still come.
    """

    def __init__(self) -> None:
        self._begun = False
        self._index = -1  # of the block that is open or was the last
        self._open: str | None = None  # its kind
        self._live: int | None = None  # the place of the call that is told as it comes
        self._held: dict[int | str, Json] = {}  # by the place of a call, or the kind of a block
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
            if thought := text(delta, "reasoning_content"):
                events += self._speak("thinking", thought)
            for block in objects(delta, "thinking_blocks"):
                events += self._seal(block)
            if said := text(delta, "content") or text(delta, "refusal"):
                events += self._speak("text", said)
            for call in objects(delta, "tool_calls"):
                events += self._call(call)
            if choice.get("finish_reason"):
                self._choice = choice
        return events

    def finish(self) -> list[Json]:
        """Return the events of the end: there the tokens are known."""
        events = self._close()
        for kind, held in self._held.items():
            if isinstance(kind, str):
                events += self._say(kind, held[kind])
                continue
            events += self._begin(_tool(held))
            events += self._piece(text(part(held, "function"), "arguments") or "")
        events += self._close()
        ends = {"type": "message_delta", "delta": ending_of(self._choice)}
        return [*events, {**ends, "usage": usage_from(self._usage)}, {"type": "message_stop"}]

    def _start(self, chunk: Json) -> list[Json]:
        if self._begun:
            return []
        self._begun = True
        message = {
            "id": chunk["id"], "type": "message", "role": "assistant", "model": chunk["model"],
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage_from({}),
        }  # fmt: skip
        return [{"type": "message_start", "message": message}]

    def _begin(self, block: Json) -> list[Json]:
        events = self._close()
        self._index += 1
        self._open = block["type"]
        start = {"type": "content_block_start", "index": self._index, "content_block": block}
        return [*events, start]

    def _close(self) -> list[Json]:
        if self._open is None:
            return []
        self._open = None
        return [{"type": "content_block_stop", "index": self._index}]

    def _delta(self, delta: Json) -> Json:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _speak(self, kind: str, said: str) -> list[Json]:
        if self._live is None:
            return self._say(kind, said)
        held = self._held.setdefault(kind, {kind: ""})
        held[kind] += said
        return []

    def _say(self, kind: str, said: str) -> list[Json]:
        sealed = {"signature": ""} if kind == "thinking" else {}
        begun = [] if self._open == kind else self._begin({"type": kind, kind: "", **sealed})
        return [*begun, self._delta({"type": _DELTAS[kind], kind: said})]

    def _seal(self, block: Json) -> list[Json]:
        """End a thought with its signature; one that did not come in pieces is told whole."""
        if self._live is not None:
            return []  # told already, and unsigned
        if block.get("type") != "thinking":
            return self._begin(block) + self._close()
        said = text(block, "thinking") or ""
        begun = (
            []
            if self._open == "thinking"
            else self._begin({**block, "thinking": "", "signature": ""})
        )
        if begun and said:
            begun.append(self._delta({"type": "thinking_delta", "thinking": said}))
        signature = {"type": "signature_delta", "signature": text(block, "signature") or ""}
        return [*begun, self._delta(signature), *self._close()]

    def _call(self, call: Json) -> list[Json]:
        place = call.get("index", 0)
        arguments = text(part(call, "function"), "arguments") or ""
        if place == self._live:
            return self._piece(arguments)
        if self._live is None:
            self._live = place
            return self._begin(_tool(call)) + self._piece(arguments)
        known = self._held.setdefault(place, {**call, "function": {"arguments": ""}})
        function = part(call, "function")
        known["function"] = {
            **known["function"],
            **({"name": function["name"]} if text(function, "name") else {}),
            "arguments": known["function"]["arguments"] + arguments,
        }
        return []

    def _piece(self, arguments: str) -> list[Json]:
        if not arguments:
            return []
        return [self._delta({"type": "input_json_delta", "partial_json": arguments})]


def _tool(call: Json) -> Json:
    name = text(part(call, "function"), "name") or ""
    return {"type": "tool_use", "id": text(call, "id") or "", "name": name, "input": {}}
