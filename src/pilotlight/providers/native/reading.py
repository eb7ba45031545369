"""What a dialect has read, as the road takes it: one chunk of each event, one kind of error."""

from __future__ import annotations

from typing import Any

from pilotlight.dialects import base
from pilotlight.dialects.base import Asked, Dialect, Json, Unreadable
from pilotlight.errors import ProviderFault
from pilotlight.providers.shapes import Shape
from pilotlight.wire.events.server_sent import EventDecoder


def read_answer(dialect: Dialect, asked: Asked, said: Json) -> Json:
    """Read a whole answer; raises ProviderFault (malformed_response).

    Tokens that are not told are left out: a zero would be a count.
    """
    try:
        answer = dialect.read_answer(said, asked)
    except Unreadable as odd:
        raise _malformed(str(odd)) from None
    if not _is_count(answer.get("usage")):
        answer.pop("usage", None)
    return answer


def _is_count(usage: Any) -> bool:
    return isinstance(usage, dict) and any(usage.values())


def _malformed(what: str) -> ProviderFault:
    return ProviderFault("malformed_response", evidence=what)


class NativeReader:
    """Makes a chunk of OpenAI's of each event that says something.

    `alone`: one choice was asked for.  Gemini's end has no event of its own, and some models
    name one in every event.  So the end that comes after an event without one is believed at
    once, and any other when the stream is over.
    """

    __slots__ = ("_alone", "_over", "_reader", "_went_on", "events")

    def __init__(self, reader: base.Reader, events: EventDecoder, alone: bool) -> None:
        self.events = events
        self._reader = reader
        self._alone = alone
        self._went_on = False
        self._over = False  # the dialect has been told that this was all

    def odd(self, event: Json) -> str:
        """The dialect finds by itself what is odd."""
        return ""

    def chunk(self, event: Json) -> Json | None:
        """Return the chunk of an event, or None if it has nothing to say to a reader."""
        reader = self._reader
        try:
            made = reader.feed(event)
        except Unreadable as odd:
            raise _malformed(str(odd)) from None
        if reader.refusal is not None:
            raise _malformed("an error in the stream")
        if not reader.ended:
            self._went_on = True
        elif self._went_on and self._alone and not self._over:
            self._over = True
            made = [*made, *reader.finish()]
        return _merged(made)

    def last(self) -> Json | None:
        """Return what the dialect has held back until the stream was over."""
        if self._over:
            return None
        self._over = True
        return _merged(self._reader.finish())

    def uncounted(self, chunk: Shape) -> Shape | None:
        """Return a chunk without the tokens; None if nothing is left of it."""
        choice = chunk.choices[0]
        if len(chunk.choices) == 1 and not choice.delta and not choice.finish_reason:
            return None
        return Shape({name: chunk[name] for name in chunk if name != "usage"})


def _merged(chunks: list[Json]) -> Json | None:
    """Return one chunk that says what these say."""
    if not chunks:
        return None
    whole = chunks[0]
    for each in chunks[1:]:
        if _is_count(each.get("usage")):
            whole["usage"] = each["usage"]
        for choice in each["choices"]:
            _add(whole["choices"], choice)
    if not whole["choices"]:  # code for litellm's chunks expects a choice in each
        whole["choices"] = [{"index": 0, "delta": {}, "finish_reason": None}]
    return whole


def _add(choices: list[Json], choice: Json) -> None:
    known: Any = next((each for each in choices if each["index"] == choice["index"]), None)
    if known is None:
        choices.append(choice)
        return
    more = {name: value for name, value in choice.items() if value is not None}
    known |= {**more, "delta": {**known["delta"], **choice["delta"]}}
