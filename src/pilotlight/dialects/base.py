"""What a dialect offers: how one LLM API says a request, an answer, a stream and a refusal.

The pivot is OpenAI's chat completion JSON: a request, an answer, or chunks.  What OpenAI's
chat lacks has litellm's names: `reasoning_content`, `thinking_blocks`, `annotations`,
`provider_specific_fields`.

Everything here is pure: JSON in, JSON out.  There is no clock and no randomness either, so an
id or a time that a wire does not carry comes in with `Asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]


class Unable(Exception):
    """A dialect can't say the request without losing what must not be lost.

    The message is the reason, and names the place: a tool, a schema, an image, a stop sequence.
    It never quotes what was said.
    """


class Unreadable(Exception):
    """What came over the wire is not what the API promises: a malformed response.

    The message names the place and the kinds of JSON, and never quotes a value.
    """


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader of an answer has to know about its request.

    `id` and `created` (seconds since 1970) are for an answer whose wire carries none; the ids
    of tool calls are made of that id where the API gives none.  `names` has the caller's name
    of each tool that had to be sent under another.  `json_tool` is the tool that stands for a
    schema: its arguments are the answer's text.
    """

    model: str = ""
    id: str = ""
    created: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    json_tool: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A request as the API takes it.

    `lost` names what it could not carry, sorted: an option by its own name, a part of the
    conversation by its kind (`reasoning`, `cache_control`, `server_tool:web_search`).
    `headers` are those that the body needs to be understood.
    """

    body: Json
    asked: Asked
    lost: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as the API says it, in a body or in the middle of a stream."""

    message: str
    kind: str | None = None  # the API's own word: `overloaded_error`, `RESOURCE_EXHAUSTED`
    status: int | None = None  # HTTP's, where the error itself names it


class Losses:
    """The names of what a translation leaves out."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: set[str] = set()

    def add(self, name: str) -> None:
        """Note that something is left out."""
        self._names.add(name)

    def sorted(self) -> tuple[str, ...]:
        """Return the names in a stable order."""
        return tuple(sorted(self._names))


class Reader(Protocol):
    """Reads one stream: the JSON of its events becomes chunks of the pivot.

    The last chunk has no choices and carries the usage.
    """

    @property
    def ended(self) -> bool:
        """Whether the API itself has said that this was all."""

    @property
    def refusal(self) -> Refusal | None:
        """The error that stood in the stream; nothing is read after it."""

    def feed(self, event: Any) -> list[Json]:
        """Take the next event.  Raises Unreadable, and nothing else, whatever it is given."""

    def finish(self) -> list[Json]:
        """Take note that the stream is over; return what was held back."""


@dataclass(frozen=True, slots=True)
class Read:
    """A caller's request in the pivot, and the names of what the pivot can't hold."""

    request: Json
    lost: tuple[str, ...] = ()


class Writer(Protocol):
    """Writes one stream: chunks of the pivot become the JSON of an API's events."""

    def feed(self, chunk: Json) -> list[Json]:
        """Take the next chunk; return the events that it makes."""

    def finish(self) -> list[Json]:
        """Take note that the stream is whole; return the events of its end."""


class Dialect(Protocol):
    """One API, as a target."""

    @property
    def name(self) -> str:
        """Its name in configuration and on receipts."""

    def write_request(self, request: Json) -> Written:
        """Write a request of the pivot.  Raises Unable, and nothing else."""

    def read_answer(self, said: Any, asked: Asked) -> Json:
        """Read a whole answer into the pivot.  Raises Unreadable, and nothing else."""

    def reader(self, asked: Asked) -> Reader:
        """Return the reader of a stream."""

    def read_refusal(self, said: Any) -> Refusal | None:
        """Read an error; None where it is not one that this API would say.  Never raises."""


class Callers(Protocol):
    """One API, as what a caller speaks."""

    def read_request(self, body: Any) -> Read:
        """Read a caller's request.  Raises Unreadable, and nothing else."""

    def write_answer(self, answer: Json) -> Json:
        """Write a whole answer of the pivot."""

    def writer(self) -> Writer:
        """Return the writer of a stream."""

    def write_refusal(self, refusal: Refusal) -> Json:
        """Write an error, in a body or as an event."""


class Spoken(Dialect, Callers, Protocol):
    """One API, both as a target and as what a caller speaks."""
