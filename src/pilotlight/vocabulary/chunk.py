"""A chunk of a stream, as a reader may count on it: OpenAI's shape, whoever sent it.

The form is OpenAI's `chat.completion.chunk`
(https://platform.openai.com/docs/api-reference/chat-streaming).  Only what every provider's
chunks have is named; what else a server sends is there at run time, `chunk.usage` for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Delta(Protocol):
    """What a chunk adds to one of the choices."""

    @property
    def role(self) -> str | None:
        """Who speaks: "assistant", in the first chunk alone."""

    @property
    def content(self) -> str | None:
        """The text that is added; None or empty where there is none."""

    @property
    def tool_calls(self) -> Sequence[Any] | None:
        """The pieces of tool calls that are added."""


class ChunkChoice(Protocol):
    """One of the answers that were asked for (`n=`), as far as this chunk goes."""

    @property
    def index(self) -> int:
        """Which of the answers it is, from 0."""

    @property
    def delta(self) -> Delta:
        """What is added to it."""

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ends here, such as "stop" or "length"; None while it goes on."""


class Chunk(Protocol):
    """A piece of a streamed answer: `chunk.choices[0].delta.content` is its text."""

    @property
    def choices(self) -> Sequence[ChunkChoice]:
        """The choices that this piece adds to."""
