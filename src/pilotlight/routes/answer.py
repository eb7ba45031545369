"""What a call returns, always with its receipt: a text, a stream of chunks, vectors, images."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.flow.steps import StreamRestarted
from pilotlight.vocabulary.chunk import Chunk
from pilotlight.vocabulary.receipt import Receipt

if TYPE_CHECKING:
    from litellm import EmbeddingResponse, ImageResponse, ModelResponse

    from pilotlight.providers.replies import EmbeddingReply, Image, ImageReply


class Reply(Protocol):
    """What a provider hands up as an answer."""

    @property
    def text(self) -> str: ...

    @property
    def response(self) -> ModelResponse: ...


class _Served:
    """What all answers share: where they came from."""

    __slots__ = ()
    receipt: Receipt

    @property
    def served_by(self) -> str:
        """The name of the target that answered."""
        return self.receipt.served_by or ""

    @property
    def failed_over(self) -> bool:
        """Whether another than the first target answered."""
        return self.receipt.failed_over

    @property
    def cost(self) -> float | None:
        """What the call cost with all its tries, in US dollars; None where that is not known."""
        return self.receipt.cost


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that an answer took, as its provider counts them; None where it does not say."""

    prompt_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer(_Served):
    """The vectors of some texts, and where they came from."""

    reply: EmbeddingReply
    receipt: Receipt

    @property
    def vectors(self) -> list[list[float]]:
        """One vector for each text, in the order of the texts, all of one length."""
        return self.reply.vectors

    @property
    def response(self) -> EmbeddingResponse:
        """The whole OpenAI-shaped reply, as `litellm.EmbeddingResponse`."""
        return self.reply.response

    @property
    def usage(self) -> Usage:
        """The tokens of the texts; an embedding has no others."""
        tokens = self.receipt.attempts[-1].prompt_tokens
        return Usage(tokens, tokens)

    def __repr__(self) -> str:
        return f"<EmbeddingAnswer of {len(self.vectors)} vectors, served_by={self.served_by!r}>"


@dataclass(frozen=True, slots=True)
class ImageAnswer(_Served):
    """The images made of a prompt, and where they came from."""

    reply: ImageReply
    receipt: Receipt

    @property
    def images(self) -> list[Image]:
        """The images, each with the `url` or the `b64_json` that its provider gave."""
        return self.reply.images

    @property
    def response(self) -> ImageResponse:
        """The whole OpenAI-shaped reply, as `litellm.ImageResponse`."""
        return self.reply.response

    def __repr__(self) -> str:
        return f"<ImageAnswer of {len(self.images)} images, served_by={self.served_by!r}>"


@dataclass(frozen=True, slots=True)
class Answer(_Served):
    """The answer to a call, and where it came from."""

    reply: Reply
    receipt: Receipt

    @property
    def text(self) -> str:
        """The text of the first choice; empty when it is a tool call."""
        return self.reply.text

    @property
    def response(self) -> ModelResponse:
        """The whole OpenAI-shaped reply, as `litellm.ModelResponse`.

        Where litellm is not installed it is a dict that reads the same.
        """
        return self.reply.response

    def __repr__(self) -> str:
        return f"<Answer of {len(self.text)} characters, served_by={self.served_by!r}>"


class _Stream:
    """What the two kinds of stream share: the text so far and the receipt so far."""

    def __init__(self, recorder: CallRecorder) -> None:
        self._journal = recorder
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """The text of the chunks read so far; a restart begins it anew."""
        return "".join(self._pieces)

    @property
    def receipt(self) -> Receipt:
        """The receipt as it stands; complete once the stream has ended."""
        return self._journal.receipt()

    @property
    def served_by(self) -> str | None:
        """The name of the target that answers; None before it is known."""
        return self._journal.served_by or self._journal.asked

    @property
    def failed_over(self) -> bool:
        """Whether another than the first target answers."""
        return self.served_by not in (None, self._journal.first_target)

    def _note(self, chunk: Any) -> None:
        if isinstance(chunk, StreamRestarted):
            self._pieces.clear()
        elif text := chunk_text(chunk):
            self._pieces.append(text)


class AnswerStream(_Stream):
    """An iterator of OpenAI-shaped chunks.

    Nothing is sent before the first `next`.  Up to the first text or tool call a
    failure fails over unseen; after it the stream raises `StreamInterrupted` or,
    with `on_interrupt = "restart"`, yields a `StreamRestarted` and goes on anew.
    Use it as a context manager when you may stop half-way.
    """

    def __init__(self, chunks: Generator[Chunk | StreamRestarted], recorder: CallRecorder) -> None:
        super().__init__(recorder)
        self._chunks = chunks

    def __iter__(self) -> Iterator[Chunk | StreamRestarted]:
        return self

    def __next__(self) -> Chunk | StreamRestarted:
        chunk = next(self._chunks)
        self._note(chunk)
        return chunk

    def close(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncAnswerStream(_Stream):
    """The same for `async for`; awaiting it first is allowed and changes nothing.

    A stream that you may leave half-way belongs into `async with`, so that its
    connection is given back at once.
    """

    def __init__(
        self, chunks: AsyncGenerator[Chunk | StreamRestarted], recorder: CallRecorder
    ) -> None:
        super().__init__(recorder)
        self._chunks = chunks

    def __await__(self) -> Generator[Any, None, Self]:
        return self._itself().__await__()

    async def _itself(self) -> Self:
        return self

    def __aiter__(self) -> AsyncIterator[Chunk | StreamRestarted]:
        return self

    async def __anext__(self) -> Chunk | StreamRestarted:
        chunk = await anext(self._chunks)
        self._note(chunk)
        return chunk

    async def aclose(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        await self._chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def chunk_text(chunk: Any) -> str:
    """Return the text that a chunk adds to the first choice; empty for chunks without any."""
    for choice in getattr(chunk, "choices", None) or ():
        if not getattr(choice, "index", 0):  # of several answers the first
            return getattr(getattr(choice, "delta", None), "content", None) or ""
    return ""
