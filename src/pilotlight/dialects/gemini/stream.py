"""Gemini's stream as chunks of the pivot: every event is a piece of the answer, in its shape."""

from __future__ import annotations

from typing import Any, Final

from pilotlight.dialects.base import Asked, Json, Refusal
from pilotlight.dialects.fields import need_object, part, text
from pilotlight.dialects.gemini.answer import Speech, beside, candidates, read_refusal, tokens
from pilotlight.dialects.shape import Chunks

_ONCE: Final = ("promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount")


class Reader:
    """Reads one stream; see `base.Reader`.  It ends when every candidate has ended."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._chunks = Chunks(asked)
        self._speeches: dict[int, Speech] = {}
        self._usage: Json = {}
        self.refusal: Refusal | None = None

    @property
    def ended(self) -> bool:
        """Whether the API itself has said that this was all."""
        speeches = self._speeches.values()
        return bool(speeches) and all(speech.finish is not None for speech in speeches)

    def feed(self, event: Any) -> list[Json]:
        """Take the next event.  Raises Unreadable, and nothing else, whatever it is given."""
        event = need_object(event, "an event")
        if self.refusal is not None:
            return []
        if event.get("error") and (refusal := read_refusal(event)):
            self.refusal = refusal
            return []
        self._chunks.name(text(event, "responseId"), text(event, "modelVersion"))
        if usage := part(event, "usageMetadata"):  # the last counts; some name the prompt once
            self._usage = {n: self._usage[n] for n in _ONCE if n in self._usage} | usage
        return [
            chunk
            for index, candidate in candidates(event)
            if (chunk := self._chunk(index, candidate)) is not None
        ]

    def finish(self) -> list[Json]:
        """Take note that the stream is over; return the ends and the tokens.

        Some models have named a reason in every event, so that it is the last one's that counts.
        """
        ends = [
            self._chunks.said(speech.kept(), index, speech.finish)
            for index, speech in self._speeches.items()
            if speech.finish is not None
        ]
        return [*ends, self._chunks.counted(tokens(self._usage))] if self._usage else ends

    def _chunk(self, index: int, candidate: Json) -> Json | None:
        speech = self._speeches.get(index)
        if speech is None:
            speech = self._speeches[index] = Speech(index, self._chunks.id, self._asked)
        said = speech.add(candidate)
        delta = {name: value for name, value in said.items() if value and name != "parts"}
        more = beside(candidate)
        if not (delta or more):
            return None
        chunk = self._chunks.said(delta, index)
        chunk["choices"][0] |= more
        return chunk
