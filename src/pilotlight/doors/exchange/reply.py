"""An answer in the caller's dialect, ready to be sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.vocabulary.receipt import Receipt

SERVED_BY: Final = "x-pilotlight-served-by"
FAILED_OVER: Final = "x-pilotlight-failed-over"
RECEIPT: Final = "x-pilotlight-receipt"
# Of one connection, or of one browser; and what a body that is handed on has no more.
_NOT_PASSED: Final = frozenset(
    """
    connection keep-alive proxy-connection proxy-authenticate te trailer transfer-encoding upgrade
    content-length content-encoding set-cookie alt-svc strict-transport-security
    """.split()  # noqa: SIM905 - a list of them reads worse
)


class BrokenStream(Exception):
    """A stream that began can't be ended: its caller must not take what came for the whole.

    The connection to the caller is to be broken off.
    """


class Written(Protocol):
    """Writes the chunks of a stream as bytes (`writing.Writing`)."""

    def write(self, chunk: Any) -> bytes: ...

    def is_last(self, chunk: Any) -> bool: ...

    def finish(self) -> bytes: ...

    def fail(self, error: Exception) -> bytes: ...


class _Pieces:
    """A stream's bytes: those that are ready, those of the chunks to come, and the end."""

    def __init__(self, written: Written, first: bytes) -> None:
        self._written = written
        self._first = first
        self._error: Exception | None = None
        self._over = False

    def _begin(self) -> bytes:
        first, self._first = self._first, b""
        return first

    def _ended(self) -> bytes:
        self._over = True
        return self._written.finish()

    def _failed(self, error: Exception) -> bytes:
        """Keep an error that the next step raises, behind its event."""
        self._over, self._error = True, error
        return self._written.fail(error)

    def _check(self) -> bool:
        """Tell whether it is over; raises BrokenStream if that is no end."""
        if self._error is not None:
            raise BrokenStream("the answer broke off after it had begun") from self._error
        return self._over


class Pieces(_Pieces):
    """The same for plain iteration.

    Not a generator: one that nobody has begun to read would not close its chunks.
    """

    def __init__(self, written: Written, first: bytes, chunks: Generator[Any]) -> None:
        super().__init__(written, first)
        self._chunks = chunks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if data := self._begin():
            return data
        while not self._check():
            data = b""
            try:
                chunk = next(self._chunks)
                data = self._written.write(chunk)
                if self._written.is_last(chunk):  # its reader may not ask for more
                    next(self._chunks)
            except StopIteration:
                data += self._ended()
            except Exception as error:
                data = self._failed(error)
            if data:
                return data
        raise StopIteration

    def close(self) -> None:
        """Stop reading."""
        self._over = True
        self._chunks.close()


class AsyncPieces(_Pieces):
    """The same for async iteration."""

    def __init__(self, written: Written, first: bytes, chunks: AsyncGenerator[Any]) -> None:
        super().__init__(written, first)
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if data := self._begin():
            return data
        while not self._check():
            data = b""
            try:
                chunk = await anext(self._chunks)
                data = self._written.write(chunk)
                if self._written.is_last(chunk):  # its reader may not ask for more
                    await anext(self._chunks)
            except StopAsyncIteration:
                data += self._ended()
            except Exception as error:
                data = self._failed(error)
            if data:
                return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop reading."""
        self._over = True
        await self._chunks.aclose()


P = TypeVar("P", Pieces, AsyncPieces)


class _Reply(Generic[P]):
    """What the two colours share.

    `status` and `headers` are HTTP's; names are lower-case.  `body` is that of a reply that is
    not streamed.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes = b"",
        pieces: P | None = None,
        recorder: CallRecorder | None = None,
    ) -> None:
        self.status = status
        self.headers = {**passed(headers), **told(recorder)}
        self.body = body
        self.recorder = recorder
        self._pieces: P | None = pieces

    @property
    def streamed(self) -> bool:
        """Whether it comes in pieces."""
        return self._pieces is not None

    @property
    def receipt(self) -> Receipt | None:
        """What happened to the call; complete once a stream has ended.  None: there was none."""
        return None if self.recorder is None else self.recorder.receipt()


class Reply(_Reply[Pieces]):
    """An answer, whole or as a stream of pieces; close it where you may stop half-way."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes; raises BrokenStream where a stream can't be ended."""
        return iter((self.body,)) if self._pieces is None else self._pieces

    def close(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        if self._pieces is not None:
            self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncReply(_Reply[AsyncPieces]):
    """The same for async."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes; raises BrokenStream where a stream can't be ended."""
        return self._whole() if self._pieces is None else self._pieces

    async def _whole(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None:
        """Stop reading: the connection and the permit are given back."""
        if self._pieces is not None:
            await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def passed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a provider's headers without those of its own connection, and what nobody can read."""
    return {n: v for n, v in headers.items() if n not in _NOT_PASSED and v.isascii()}


def told(recorder: CallRecorder | None) -> dict[str, str]:
    """Return the headers that say who answered."""
    if recorder is None:
        return {}
    served = recorder.served_by or recorder.asked
    found = {RECEIPT: recorder.call_id}
    if served is not None and recorder.outcome in ("open", "primary", "failover"):
        found[SERVED_BY] = served
        found[FAILED_OVER] = "false" if served == recorder.first_target else "true"
    return found
