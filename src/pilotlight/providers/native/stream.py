"""A stream read over our own connections: event by event, as it was sent."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from pilotlight.core.provider import Attempt, Call, Ended, Failed
from pilotlight.diagnosis.answer_view import ChunkNotes, facts_of
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import failure, verdict_failure
from pilotlight.errors import ProviderFault
from pilotlight.providers import shapes
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.own_errors import in_band_error
from pilotlight.wire.events.forms import odd_evidence
from pilotlight.wire.events.server_sent import read_event
from pilotlight.wire.tap import Wire, new_tap

if TYPE_CHECKING:
    from pilotlight.providers.connection import Connection
    from pilotlight.wire.http import Said

LAST_WORD: Final = b"[DONE]"
PATIENCE: Final = 0.25  # seconds for HTTP's own end after the last word, for the connection's sake
_UNKNOWN_OPTION: Final = re.compile(
    r"stream_options|include_usage|(?:un(?:known|recogni[sz]ed|expected|supported)|extra|additional)"
    r"\W+(?:\w+\W+)?(?:field|param|argument|input|propert|option|key)",
    re.IGNORECASE,
)


class Server(Protocol):
    """The server that a stream is read from, as its provider knows it."""

    wire: Wire
    counts: bool | None  # whether it counts tokens when asked to; None: not known yet

    @property
    def connection(self) -> Connection: ...

    def asks_for_count(self, call: Call) -> bool: ...

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None: ...

    def refusal(self, said: Said, url: str) -> Exception: ...


class StreamSource:
    """What the two colours of stream share: what has been read, and how it is judged."""

    def __init__(self, provider: Server, call: Call, attempt: Attempt, prepared: Prepared) -> None:
        self._provider = provider
        self._call = call
        self._attempt = attempt
        self._prepared = prepared
        self._asks = provider.asks_for_count(call)
        self.tap = self._tap = new_tap(
            provider.wire, attempt.timeouts, watched=True, checks=False, gathers=attempt.gather
        )
        spec = provider.connection.spec
        self._notes = ChunkNotes(spec.bare_model, {**spec.options, **call.options})
        self._reader = prepared.reader()
        self._said_done = False  # the last word was read
        self._ready: deque[Any] = deque()  # events that have come but were not handed on
        options = call.options.get("stream_options") or {}
        self._wants_usage = attempt.gather or bool(options.get("include_usage"))

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""
        return self._notes.committed

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        target, notes = self._attempt.target, self._notes
        if notes.whole and not self._tap.in_band_error:
            return self.ended()
        said, tools = notes.text, notes.tool_calls
        return failure(target, self._tap, error, self._call.messages, said, tools, own=True)

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""
        from pilotlight.diagnosis.classify import judge

        tap, notes = self._tap, self._notes
        counted = self._said_done and notes.usage is not None  # instead of a reason
        tap.terminal = bool(notes.finish_reason) or counted
        view = notes.view(tap)
        if (verdict := judge(tap, view, prompt_texts=Texts(self._call.messages))) is not None:
            return verdict_failure(self._attempt.target, verdict, notes.text, notes.tool_calls)
        return Ended(self._prepared.told(facts_of(view, tap, notes)))

    def _uncounted(self, said: Said) -> Prepared | None:
        """Return the request to send instead where our own wish may be what was refused.

        Some servers refuse what they don't know; then they are not asked for it again.
        """
        known = not self._asks or self._provider.counts is not None or self._attempt.gather
        if known or said.status_code not in (400, 422) or not _UNKNOWN_OPTION.search(said.text):
            return None
        return self._provider.prepared(self._call, counted=False)

    def _accepted(self, said: Said, counted: bool) -> None:
        if not said.is_success:
            raise self._provider.refusal(said, self._prepared.place.url)
        if self._asks:
            self._provider.counts = counted
            self._provider.connection.streamable.lossy |= not counted

    def _take(self, data: bytes) -> Any | None:
        """Return the chunk of an event, or None for one that is to be left out."""
        try:
            return self._chunk(data)
        except ProviderFault as broken:
            if self._notes.whole or self._tap.in_band_error:
                raise
            if not self._call.skip_broken:
                self._tap.garble(broken.evidence, begun=self._notes.committed)
                raise
            self._tap.skipped += 1
            return None

    def _chunk(self, data: bytes) -> Any | None:
        """Return the chunk of an event, or None if it has nothing to say to a reader."""
        said = read_event(data)
        if said.get("error") and not said.get("choices"):
            spec = self._provider.connection.spec
            url = self._prepared.place.url
            raise in_band_error(said, url, spec.provider, spec.bare_model)
        if name := self._reader.odd(said):
            raise ProviderFault("malformed_response", evidence=odd_evidence(name))
        made = self._reader.chunk(said)
        return None if made is None else self._noted(made)

    def _last(self) -> Any | None:
        """Return what the reader has held back, once the stream is over."""
        made = self._reader.last()
        return None if made is None else self._noted(made)

    def _noted(self, made: dict[str, Any]) -> Any | None:
        """Take note of a chunk; None for one that says nothing to who did not ask for tokens."""
        chunk = shapes.Shape(made)
        self._notes.add(chunk)
        if self._notes.whole:
            self._tap.body.settle()
        if self._notes.usage is None or self._wants_usage:
            return chunk
        return self._reader.uncounted(chunk)


class DirectSource(StreamSource):
    """A stream read from the server, in plain iteration."""

    _pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            while not self._ready:
                try:
                    self._read_on()
                except StopIteration:
                    if (chunk := self._last()) is None:
                        raise
                    return chunk
            data = self._ready.popleft()
            if data == LAST_WORD:
                self._said_done = True
                self._tap.body.rest(PATIENCE)
                raise StopIteration
            if (chunk := self._take(data)) is not None:
                return chunk

    def _read_on(self) -> None:
        if self._pieces is None:
            said = self._send(self._prepared)
            if (plain := self._uncounted(said)) is not None:
                said = self._send(plain)
            self._accepted(said, counted=plain is None)
            self._pieces = said.iter_bytes()
        try:
            self._ready.extend(self._reader.events.feed(next(self._pieces)))
        except StopIteration:
            if not (rest := self._reader.events.finish()):
                raise
            self._ready.extend(rest)

    def _send(self, prepared: Prepared) -> Said:
        said = prepared.send(self._tap, streaming=True)
        if not said.is_success:
            said.read()
        return said

    def close(self) -> None:
        """Give the connection back."""
        self._tap.close()


class AsyncDirectSource(StreamSource):
    """A stream read from the server, in async iteration."""

    _pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            while not self._ready:
                try:
                    await self._read_on()
                except StopAsyncIteration:
                    if (chunk := self._last()) is None:
                        raise
                    return chunk
            data = self._ready.popleft()
            if data == LAST_WORD:
                self._said_done = True
                await self._tap.body.arest(PATIENCE)
                raise StopAsyncIteration
            if (chunk := self._take(data)) is not None:
                return chunk

    async def _read_on(self) -> None:
        if self._pieces is None:
            said = await self._send(self._prepared)
            if (plain := self._uncounted(said)) is not None:
                said = await self._send(plain)
            self._accepted(said, counted=plain is None)
            self._pieces = said.aiter_bytes()
        try:
            self._ready.extend(self._reader.events.feed(await anext(self._pieces)))
        except StopAsyncIteration:
            if not (rest := self._reader.events.finish()):
                raise
            self._ready.extend(rest)

    async def _send(self, prepared: Prepared) -> Said:
        said = await prepared.asend(self._tap, streaming=True)
        if not said.is_success:
            await said.aread()
        return said

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._tap.aclose()
