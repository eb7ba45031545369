"""The events of a streamed response as chunks of the pivot.

Source: OpenAI's API reference, streaming events of the Responses API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    need_name,
    need_object,
    need_part,
    need_text,
    objects,
    part,
    text,
)
from pilotlight.dialects.openai_responses.answer import (
    BREAK,
    annotation,
    call_in,
    finish_of,
    kept,
    read_refusal,
    thoughts_in,
    tokens,
)
from pilotlight.dialects.shape import Chunks

_CALLS: Final = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}


class Reader:
    """Reads one stream; see `base.Reader`."""

    def __init__(self, asked: Asked) -> None:
        self._chunks = Chunks(asked)
        self._names = asked.names
        self._items: dict[int, Json] = {}  # that are whole
        self._places: dict[int, int] = {}  # of calls among the calls, by the place of their item
        self._kinds: dict[int, tuple[str, str]] = {}
        self._fed: set[int] = set()  # calls and thoughts of which a piece has come
        self._thinks = False  # a thought has begun, so that the next part is another
        self.ended = False
        self.refusal: Refusal | None = None

    def feed(self, event: Any) -> list[Json]:
        """Take the next event.  Raises Unreadable, and nothing else, whatever it is given."""
        event = need_object(event, "an event")
        if self.ended or self.refusal is not None:
            return []
        kind = need_text(event, "type")
        if (name := _PIECES.get(kind)) is not None:
            return self._speak(name, event)
        read = _EVENTS.get(kind)
        return [] if read is None else read(self, event)

    def finish(self) -> list[Json]:
        """Take note that the stream is over; the API's own end has said everything."""
        return []

    def _speak(self, name: str, event: Json) -> list[Json]:
        if event.get("delta") is None:
            raise Unreadable("delta is missing")
        if not (said := need_text(event, "delta")):
            return []
        chunk = self._chunks.said({name: said})
        if name == "reasoning_content":
            self._thinks = True
            self._fed.add(_place(event))
        elif logprobs := objects(event, "logprobs"):
            chunk["choices"][0]["logprobs"] = {"content": logprobs, "refusal": None}
        return [chunk]

    def start(self, event: Json) -> list[Json]:
        """The response begins: its id and its model."""
        response = need_part(event, "response")
        self._chunks.name(text(response, "id"), text(response, "model"))
        return [self._chunks.said({})]

    def part(self, event: Json) -> list[Json]:
        """Another part of a summary begins."""
        return [self._chunks.said({"reasoning_content": BREAK})] if self._thinks else []

    def open(self, event: Json) -> list[Json]:
        """An item begins; of a call the name is known, and what it says comes in pieces."""
        place, item = _place(event), need_part(event, "item")
        if (kind := _CALLS.get(need_name(item, "type", "item."))) is None:
            return []
        call = call_in({**item, kind[1]: ""}, "item.", self._names)
        self._kinds[place] = kind
        self._places[place] = index = len(self._places)
        return [self._chunks.said({"tool_calls": [{"index": index, **call}]})]

    def go_on(self, event: Json) -> list[Json]:
        """A piece of what a call says."""
        place = _place(event)
        if place not in self._places:
            raise Unreadable("a piece of a call that has not begun")
        if event.get("delta") is None:
            raise Unreadable("delta is missing")
        return self._called(place, need_text(event, "delta"))

    def _called(self, place: int, said: str) -> list[Json]:
        if not said:
            return []
        self._fed.add(place)
        outer, inner = self._kinds[place]
        call = {"index": self._places[place], outer: {inner: said}}
        return [self._chunks.said({"tool_calls": [call]})]

    def close(self, event: Json) -> list[Json]:
        """An item is whole; what came in no pieces is said now."""
        place, item = _place(event), need_part(event, "item")
        kind = need_name(item, "type", "item.")
        self._items[place] = item
        if kind == "reasoning":
            return [] if place in self._fed else self._thought(item)
        if kind not in _CALLS:
            return []
        begun = [] if place in self._places else self.open(event)
        if place in self._fed:
            return begun
        return begun + self._called(place, need_text(item, _CALLS[kind][1], "item."))

    def _thought(self, item: Json) -> list[Json]:
        """Return a thought that came in no pieces."""
        if not (parts := thoughts_in(item, "item.")):
            return []
        said = BREAK.join([*([""] if self._thinks else []), *parts])
        self._thinks = True
        return [self._chunks.said({"reasoning_content": said})]

    def cite(self, event: Json) -> list[Json]:
        """A citation of the text."""
        return [self._chunks.said({"annotations": [annotation(need_part(event, "annotation"))]})]

    def stop(self, event: Json) -> list[Json]:
        """The response is whole, or cut: why, and its tokens."""
        response = need_part(event, "response")
        finish = finish_of(response, bool(self._places))
        self.ended = True
        items = [item for _, item in sorted(self._items.items())]
        return [
            self._chunks.said(kept(items), finish=finish),
            self._chunks.counted(tokens(part(response, "usage"))),
        ]

    def fail(self, event: Json) -> list[Json]:
        """An error in the middle of the stream."""
        refusal = read_refusal(event) or read_refusal(part(event, "response"))
        self.refusal = refusal or Refusal("", "error")
        return []


def _place(event: Json) -> int:
    place = event.get("output_index")
    if type(place) is not int:
        raise Unreadable("an event of an item has no output_index")
    return place


_PIECES: Final[Mapping[str, str]] = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning_content",
    "response.reasoning_text.delta": "reasoning_content",
}
_EVENTS: Final[Mapping[str, Callable[[Reader, Json], list[Json]]]] = {
    "response.created": Reader.start,
    "response.output_item.added": Reader.open,
    "response.reasoning_summary_part.added": Reader.part,
    "response.function_call_arguments.delta": Reader.go_on,
    "response.custom_tool_call_input.delta": Reader.go_on,
    "response.output_text.annotation.added": Reader.cite,
    "response.output_item.done": Reader.close,
    "response.completed": Reader.stop,
    "response.incomplete": Reader.stop,
    "response.failed": Reader.fail,
    "error": Reader.fail,
}
