"""What every dialect can do: read a request, write an answer whole or as a stream, refuse.

A dialect knows shapes and words, never sockets: the faults that break a transfer work on the
`Script` of a stream and are the same for all of them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ..answers import Answer, Ask
from ..faults import Fault
from ..http import JSON_TYPE, Json, Reply, Request, Script


class Refused(Exception):
    """The request is answered with an error, by the provider's own rules."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Dialect(ABC):
    """One provider interface."""

    name: ClassVar[str]
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    ending: ClassVar[bytes] = b""  # what ends a stream even when there was nothing to say
    headers: ClassVar[Mapping[str, str]] = {}  # of every good answer

    @abstractmethod
    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        """Understand a request; raise Refused when its form is wrong."""

    @abstractmethod
    def whole(self, ask: Ask, answer: Answer) -> Json:
        """Return the body of a plain answer."""

    @abstractmethod
    def script(self, ask: Ask, answer: Answer) -> Script:
        """Return the events of a streamed answer."""

    @abstractmethod
    def nothing(self, ask: Ask) -> Json:
        """Return a body that is well-formed and holds no answer at all."""

    @abstractmethod
    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        """Return the error reply for a fault, in the provider's words."""

    @abstractmethod
    def error_in_200(self, ask: Ask) -> Json:
        """Return the error object of the `error_body` fault."""

    @abstractmethod
    def error_event(self, ask: Ask) -> bytes:
        """Return the event that tells of an error inside a stream."""

    def refused(self, reply: Reply) -> Reply:
        """Put what the server itself refuses into the shape of the endpoint that was asked."""
        return reply

    def frame(self, text: str) -> bytes:
        """Wrap a text as one event of a stream."""
        return f"data: {text}\n\n".encode()

    def heartbeat(self, ask: Ask) -> bytes:
        """Return what keeps a stalled stream warm without saying anything."""
        return b": keep-alive\n\n"

    def filters_in_answer(self, fault: Fault) -> bool:
        """Say whether a content filter shows as a finish reason under 200, not as an error."""
        return getattr(fault, "status", None) == 200

    def headers_for(self, *, stream: bool) -> dict[str, str]:
        return {"content-type": self.stream_type if stream else JSON_TYPE, **self.headers}


def sse(data: Any, event: str | None = None, end: str = "\n\n") -> bytes:
    """Write one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {dumps(data)}{end}".encode()


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(content: Any) -> str:
    """Join the text of a message's content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (each.get("text") if isinstance(each, dict) else each for each in content)
    return " ".join(part for part in parts if isinstance(part, str))


def obj(value: Any) -> Json:
    """Return an object from the outside; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[Json]:
    """Return the objects of a list from the outside, whatever else is in it."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def whole_number(value: Any) -> int | None:
    """Return a token limit from the outside; anything but a number from 0 is no limit."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if good else None
