"""What targets have said, in the caller's dialect: as it came, or translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.core.provider import Call
from pilotlight.dialects.base import Json
from pilotlight.dialects.fields import words
from pilotlight.doors.exchange.framing import FRAMINGS, JSON_TYPE, dated, error_event, in_chat
from pilotlight.doors.exchange.refusals import message_of, status_for, words_of
from pilotlight.providers.relay.relay import RelayedReply
from pilotlight.providers.relay.source import Piece
from pilotlight.providers.relay.ways import dialect_named
from pilotlight.wire.http import dumped

# What a response repeats of its request.
_ECHOED: Final = words(
    "instructions max_output_tokens metadata parallel_tool_calls previous_response_id reasoning"
    " service_tier store temperature text tool_choice tools top_p truncation user"
)


def whole(dialect: str, value: Any, call: Call) -> tuple[Mapping[str, str], bytes]:
    """Return the headers and the body of a whole answer."""
    if isinstance(value, RelayedReply):
        return value.headers, value.body
    said = dialect_named(dialect).write_answer(_pivot(value, call))
    if dialect == "openai_responses":
        said |= _echoes(call)
    elif dialect == "ollama":
        said = dated(said)
    return {"content-type": JSON_TYPE}, dumped(said)


def _pivot(value: Any, call: Call) -> Json:
    """Return an answer of the road's as the dialects take it."""
    data = getattr(value, "data", None)
    if not isinstance(data, dict):
        data = value.response.model_dump(exclude_none=True)
    head = {"id": "", "model": "", "created": 0, "object": "chat.completion"}
    return head | {name: each for name, each in data.items() if each is not None}


def _echoes(call: Call) -> Json:
    said = {} if call.original is None else call.original.said
    return {name: said[name] for name in _ECHOED if said.get(name) is not None}


class Writing:
    """One stream; what its first chunk is tells whether it is translated."""

    def __init__(self, dialect: str, call: Call, *, sse: bool) -> None:
        self._dialect = dialect
        self._call = call
        self._framing = FRAMINGS[dialect]
        self._listed = dialect == "gemini" and not sse  # one JSON list
        self._begun = False
        self._writer: Any = None  # None: nothing is translated
        self.headers: Mapping[str, str] = {}

    def begin(self, chunk: Any) -> bytes:
        """Take the first chunk; return the bytes that it makes."""
        if isinstance(chunk, Piece):
            self.headers = chunk.headers
        else:
            self._writer = dialect_named(self._dialect).writer()
            self.headers = {"content-type": self._framing.content_type}
        if self._listed:
            self.headers = {**self.headers, "content-type": JSON_TYPE}
        return self.write(chunk)

    def write(self, chunk: Any) -> bytes:
        """Take the next chunk; return the bytes that it makes, perhaps none."""
        if isinstance(chunk, Piece):
            return self._item(chunk.raw) if self._listed else chunk.raw
        return b"".join(map(self._framed, self._writer.feed(self._plain(chunk))))

    def is_last(self, chunk: Any) -> bool:
        """Tell whether nothing of the answer follows a chunk, as its API says."""
        return isinstance(chunk, Piece) and chunk.last

    def finish(self) -> bytes:
        """Take note that the stream is whole; return its last bytes."""
        if self._listed:
            events = [] if self._writer is None else self._writer.finish()
            return b"".join(map(self._framed, events)) + (b"]" if self._begun else b"[]")
        if self._writer is None:
            return b""
        return b"".join(map(self._framed, self._writer.finish())) + self._framing.last_word

    def fail(self, error: Exception) -> bytes:
        """Return the event of a stream that breaks off."""
        status = status_for(error)
        refusal = words_of(self._dialect, status, message_of(error))
        return b"" if self._listed else error_event(self._dialect, refusal)

    def _plain(self, chunk: Any) -> Json:
        said: Json = {"id": "", "model": "", "created": 0} | chunk.model_dump()
        return in_chat(said) if self._dialect == "openai_chat" else said

    def _framed(self, event: Json) -> bytes:
        if self._dialect == "openai_responses" and isinstance(event.get("response"), dict):
            event = {**event, "response": {**event["response"], **_echoes(self._call)}}
        if self._listed:
            return self._listing(dumped(event))
        return self._framing.frame(event)

    def _item(self, raw: bytes) -> bytes:
        data = b"".join(line[5:].strip() for line in raw.splitlines() if line.startswith(b"data:"))
        return self._listing(data) if data else b""

    def _listing(self, data: bytes) -> bytes:
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data
