"""A stream that is handed on in the bytes that it came as, while its events are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pilotlight.core.provider import Attempt, Call, Ended, Failed
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.native.stream import (
    LAST_WORD,
    PATIENCE,
    AsyncDirectSource,
    DirectSource,
    Server,
)
from pilotlight.providers.shapes import Shape
from pilotlight.wire.raw_events import RawEvent
from pilotlight.wire.tap import Tap, listening


class Watched(Server, Protocol):
    """The server that a stream is read from."""

    def failed(
        self,
        call: Call,
        attempt: Attempt,
        tap: Tap,
        error: Exception,
        partial: str = "",
        tools: bool = False,
    ) -> Failed: ...

    def prove(self, call: Call) -> None: ...

    async def aprove(self, call: Call) -> None: ...

    def check(self, call: Call, said: bytes) -> None: ...

    def is_last(self, said: bytes) -> bool: ...

    def half_read(
        self, call: Call, attempt: Attempt, tap: Tap, read: int | None, partial: str = ""
    ) -> Failed | None: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """One event as it came; `headers` are the answer's, `chunk` is what the event says.

    After the `last` nothing of the answer follows, and a reader may leave.
    """

    raw: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    chunk: Shape | None = None
    last: bool = False

    @property
    def choices(self) -> Any:
        """The choices of the chunk, for those who read a stream's text in passing."""
        return () if self.chunk is None else self.chunk.choices


class _Relayed:
    """What the two colours share, over what they share with other streams."""

    _call: Call
    _server: Watched
    _tap: Tap
    _over = False  # the API has said that this was all

    def _piece(self, event: RawEvent) -> Piece | None:
        """Judge an event; return it, or None for one that the caller is not to see."""
        this: Any = self
        skipped, chunk = self._tap.skipped, None
        self._hidden = False
        for data in event.data:
            self._over = self._over or self._server.is_last(data)
            if data == LAST_WORD:
                this._said_done = True
                continue
            self._server.check(self._call, data)
            chunk = this._take(data) or chunk
        if self._hidden or self._tap.skipped > skipped:
            return None
        return Piece(event.raw, self._tap.headers, chunk, self._over)

    def _noted(self, made: dict[str, Any]) -> Shape:
        """Take note of a chunk; the tokens are hidden if nobody but us asked for them."""
        this: Any = self
        chunk = Shape(made)
        this._notes.add(chunk)
        if this._notes.whole:
            self._tap.body.settle()
        self._hidden = this._asks and this._reader.uncounted(chunk) is None
        return chunk

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        this: Any = self
        notes = this._notes
        if notes.whole and not self._tap.in_band_error:
            return self.ended()
        return self._server.failed(
            self._call, this._attempt, self._tap, error, notes.text, notes.tool_calls
        )

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty, or to half of the prompt."""
        this: Any = self
        found: Ended | Failed = super().ended()  # type: ignore[misc]
        if isinstance(found, Failed):
            return found
        notes, read = this._notes, found.facts.prompt_tokens
        half = self._server.half_read(self._call, this._attempt, self._tap, read, notes.text)
        if half is not None:
            return replace(half, tool_begun=notes.tool_calls)
        original = self._call.original
        lost = original is not None and original.lost
        return replace(found, facts=replace(found.facts, relayed=True)) if lost else found


class RelaySource(_Relayed, DirectSource):
    """A stream of pieces, in plain iteration."""

    _ready: Any

    def __init__(self, provider: Watched, call: Call, attempt: Attempt, prepared: Prepared) -> None:
        super().__init__(provider, call, attempt, prepared)
        self._server = provider

    def __next__(self) -> Piece:
        if self._over:
            self._tap.body.rest(PATIENCE)
            self._last()
            raise StopIteration
        while True:
            while not self._ready:
                try:
                    self._read_on()
                except StopIteration:
                    self._last()
                    raise
            if (piece := self._piece(self._ready.popleft())) is not None:
                return piece

    def _send(self, prepared: Prepared) -> Any:
        with listening(self._tap):
            self._server.prove(self._call)
        return super()._send(prepared)


class AsyncRelaySource(_Relayed, AsyncDirectSource):
    """A stream of pieces, in async iteration."""

    _ready: Any

    def __init__(self, provider: Watched, call: Call, attempt: Attempt, prepared: Prepared) -> None:
        super().__init__(provider, call, attempt, prepared)
        self._server = provider

    async def __anext__(self) -> Piece:
        if self._over:
            await self._tap.body.arest(PATIENCE)
            self._last()
            raise StopAsyncIteration
        while True:
            while not self._ready:
                try:
                    await self._read_on()
                except StopAsyncIteration:
                    self._last()
                    raise
            if (piece := self._piece(self._ready.popleft())) is not None:
                return piece

    async def _send(self, prepared: Prepared) -> Any:
        with listening(self._tap):
            await self._server.aprove(self._call)
        return await super()._send(prepared)
