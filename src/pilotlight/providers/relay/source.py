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
    StreamSource,
)
from pilotlight.providers.shapes import Shape
from pilotlight.wire.events.raw import RawEvent
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


class _Relayed(StreamSource):
    """What the two colours share, over what they share with other streams."""

    _provider: Watched
    _hidden = False  # the last event brought what only we have asked for
    _over = False  # the API has said that this was all

    def _piece(self, event: RawEvent) -> Piece | None:
        """Judge an event; return it, or None for one that the caller is not to see."""
        skipped, chunk = self._tap.skipped, None
        self._hidden = False
        for data in event.data:
            self._over = self._over or self._provider.is_last(data)
            if data == LAST_WORD:
                self._said_done = True
                continue
            self._provider.check(self._call, data)
            chunk = self._take(data) or chunk
        if self._hidden or self._tap.skipped > skipped:
            return None
        return Piece(event.raw, self._tap.headers, chunk, self._over)

    def _noted(self, made: dict[str, Any]) -> Shape:
        """Take note of a chunk; the tokens are hidden if nobody but us asked for them."""
        chunk = Shape(made)
        if self._notes.add_usual(made):
            return chunk
        self._notes.add(chunk)
        if self._notes.whole:
            self._tap.body.settle()
        counted = self._asks and chunk.usage is not None
        self._hidden = counted and self._reader.uncounted(chunk) is None
        return chunk

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        notes = self._notes
        if notes.whole and not self._tap.in_band_error:
            return self.ended()
        return self._provider.failed(
            self._call, self._attempt, self._tap, error, notes.text, notes.tool_calls
        )

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty, or to half of the prompt."""
        found = super().ended()
        if isinstance(found, Failed):
            return found
        notes, read = self._notes, found.facts.prompt_tokens
        half = self._provider.half_read(self._call, self._attempt, self._tap, read, notes.text)
        if half is not None:
            return replace(half, tool_begun=notes.tool_calls)
        original = self._call.original
        lost = original is not None and original.lost
        return replace(found, facts=replace(found.facts, relayed=True)) if lost else found


class RelaySource(_Relayed, DirectSource):
    """A stream of pieces, in plain iteration."""

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
            self._provider.prove(self._call)
        return super()._send(prepared)


class AsyncRelaySource(_Relayed, AsyncDirectSource):
    """A stream of pieces, in async iteration."""

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
            await self._provider.aprove(self._call)
        return await super()._send(prepared)
