"""Anthropic's stream of events as chunks of the pivot.

    message_start, (content_block_start, content_block_delta ..., content_block_stop) ...,
    message_delta, message_stop; and ping, error

Source: Anthropic's page on streaming messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pilotlight.dialects.anthropic_messages.answer import (
    KEPT,
    cited,
    ending,
    finish_of,
    is_own,
    read_refusal,
    tokens,
)
from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    dumps,
    loads_object,
    need_name,
    need_object,
    need_part,
    need_text,
    part,
    present,
    text,
)
from pilotlight.dialects.history import keep
from pilotlight.dialects.shape import Chunks, call_of


class Reader:
    """Reads one stream; see `base.Reader`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._chunks = Chunks(asked)
        self._blocks: dict[int, Json] = {}
        self._pieces: dict[int, list[str]] = {}  # of a block's text, thought or arguments
        self._places: dict[int, int] = {}  # of tool calls among the tool calls
        self._ends: Json = {}
        self._usage: Json = {}
        self.ended = False
        self.refusal: Refusal | None = None

    def feed(self, event: Any) -> list[Json]:
        """Take the next event.  Raises Unreadable, and nothing else, whatever it is given."""
        event = need_object(event, "an event")
        if self.ended or self.refusal is not None:
            return []
        read = _EVENTS.get(need_text(event, "type"))
        return [] if read is None else read(self, event)

    def finish(self) -> list[Json]:
        """Take note that the stream is over; the API's own end has said everything."""
        return []

    def start(self, event: Json) -> list[Json]:
        """The message begins: its id, its model, the tokens of the prompt."""
        message = need_part(event, "message")
        self._chunks.name(text(message, "id"), text(message, "model"))
        self._usage = dict(part(message, "usage"))
        return [self._chunks.said({})]

    def open(self, event: Json) -> list[Json]:
        """A block begins; those of servers' tools are whole already."""
        place, block = self._place(event), dict(need_part(event, "content_block"))
        kind = need_name(block, "type", "content_block.")
        self._blocks[place], self._pieces[place] = block, []
        if kind in _SAID:
            return self._speak(place, _SAID[kind], need_text(block, kind, "content_block."))
        if kind != "tool_use":
            return []
        name = need_name(block, "name", "content_block.")
        if name == self._asked.json_tool:
            return []
        named = need_name(block, "id", "content_block.")
        self._places[place] = index = len(self._places)
        call = call_of(named, self._asked.names.get(name, name), "")
        return [self._chunks.said({"tool_calls": [{"index": index, **call}]})]

    def go_on(self, event: Json) -> list[Json]:
        """A piece of a block."""
        place, delta = self._place(event), need_part(event, "delta")
        if (block := self._blocks.get(place)) is None or place not in self._pieces:
            raise Unreadable("a piece of a block that has not begun")
        kind = need_name(delta, "type", "delta.")
        if kind == "text_delta":
            return self._speak(place, "content", _said(delta, "text"))
        if kind == "input_json_delta":
            return self._arguments(place, block, _said(delta, "partial_json"))
        if kind == "thinking_delta":
            return self._speak(place, "reasoning_content", _said(delta, "thinking"))
        if kind == "signature_delta":
            block["signature"] = (text(block, "signature") or "") + need_text(delta, "signature")
        elif kind == "citations_delta":
            citation = need_part(delta, "citation", "delta.")
            known = block.get("citations")
            block["citations"] = [*(known if type(known) is list else ()), citation]
            if found := cited(citation):
                return [self._chunks.said({"annotations": found})]
        return []

    def close(self, event: Json) -> list[Json]:
        """A block ends: a thought is signed, and arguments that came in no pieces are there."""
        place = self._place(event)
        block, said = self._blocks.get(place, {}), "".join(self._pieces.pop(place, ()))
        kind = block.get("type")
        if kind in _SAID:
            block[kind] = said
        if kind in ("thinking", "redacted_thinking"):
            return [self._chunks.said({"thinking_blocks": [dict(block)]})]
        if said and (read := loads_object(said)) is not None:
            block["input"] = read
        if said or kind != "tool_use":
            return []
        self._pieces[place] = []
        return self._arguments(place, block, dumps(part(block, "input")))

    def change(self, event: Json) -> list[Json]:
        """The message's reason to stop, and its tokens, which are sums."""
        delta = need_part(event, "delta")
        need_text(delta, "stop_reason", "delta.")
        self._ends |= present(**delta)
        self._ends |= present(context_management=event.get("context_management"))
        self._usage |= {n: v for n, v in part(event, "usage").items() if v is not None}
        return []

    def stop(self, event: Json) -> list[Json]:
        """The message is whole."""
        self.ended = True
        blocks = [block for _, block in sorted(self._blocks.items())]
        delta = keep({KEPT: blocks}) if is_own(blocks) else {}
        finish = finish_of(text(self._ends, "stop_reason"), bool(self._places))
        last = self._chunks.said(delta, finish=finish)
        if told := ending(self._ends):
            last["choices"][0]["provider_specific_fields"] = told
        return [last, self._chunks.counted(tokens(self._usage))]

    def fail(self, event: Json) -> list[Json]:
        """An error in the middle of the stream."""
        self.refusal = read_refusal(event) or Refusal("", "error")
        return []

    def _place(self, event: Json) -> int:
        place = event.get("index")
        if type(place) is not int:
            raise Unreadable("an event of a block has no index")
        return place

    def _speak(self, place: int, name: str, said: str) -> list[Json]:
        if not said:
            return []
        self._pieces[place].append(said)
        return [self._chunks.said({name: said})]

    def _arguments(self, place: int, block: Json, said: str) -> list[Json]:
        if said:
            self._pieces[place].append(said)
        if not said or block.get("type") != "tool_use":
            return []
        if (index := self._places.get(place)) is None:  # the tool that stands for a schema
            return [self._chunks.said({"content": said})]
        return [
            self._chunks.said({"tool_calls": [{"index": index, "function": {"arguments": said}}]})
        ]


def _said(delta: Json, name: str) -> str:
    """Return a piece of what is said; a piece without it has lost something."""
    if delta.get(name) is None:
        raise Unreadable(f"delta.{name} is missing")
    return need_text(delta, name, "delta.")


_SAID: Final = {"text": "content", "thinking": "reasoning_content"}
_EVENTS: Final[Mapping[str, Callable[[Reader, Json], list[Json]]]] = {
    "message_start": Reader.start,
    "content_block_start": Reader.open,
    "content_block_delta": Reader.go_on,
    "content_block_stop": Reader.close,
    "message_delta": Reader.change,
    "message_stop": Reader.stop,
    "error": Reader.fail,
}
