"""OpenAI-style servers without litellm, where litellm would change nothing.

litellm and the SDK below it spend several milliseconds of CPU on a call that is a few hundred
bytes of JSON in each direction.  What `direct_rules` knows to be sent unchanged goes straight
over the target's own connections, past the same tap, and is judged by the same rules; every
other call is litellm's.  An answer is parsed once, and litellm's classes are made when asked
for.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import Any, Final

from pilotlight.core.headers import clean_key
from pilotlight.core.steps import Answered, AsyncSource, Attempt, Call, Ended, Failed, Source
from pilotlight.providers import model_table, shapes
from pilotlight.providers.base import (
    Connection,
    Texts,
    failure,
    keyless_failure,
    new_tap,
    verdict_failure,
)
from pilotlight.providers.direct_rules import Dialect, body_of, litellm_has_hooks
from pilotlight.providers.events import EventDecoder
from pilotlight.providers.handle import AttemptTarget
from pilotlight.providers.litellm import NO_KEY_NEEDED, LiteLLMProvider
from pilotlight.providers.litellm_clients import kind_of
from pilotlight.providers.own_errors import in_band_error, status_error
from pilotlight.providers.post import Post, Said, dumped, parsed
from pilotlight.providers.replies import ChatReply, flattened
from pilotlight.providers.tap import Tap
from pilotlight.providers.traceparent import trace_headers
from pilotlight.providers.views import ChunkNotes, facts_of, view_of

PATH: Final = "/chat/completions"
LAST_WORD: Final = b"[DONE]"
PATIENCE: Final = 0.25  # seconds for HTTP's own end after the last word, for the connection's sake
# What the openai SDK sends of the environment.
_SDK_HEADERS: Final = {
    "OPENAI_ORG_ID": "openai-organization",
    "OPENAI_PROJECT_ID": "openai-project",
}


class DirectProvider:
    """Calls one endpoint by itself where that is the same, and through litellm where it is not."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self.connection = connection
        self._dialect = dialect
        self._litellm = LiteLLMProvider(connection)

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if (body := self.body(call)) is None:
            return self._litellm.complete(call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        tap = new_tap("openai", attempt.timeouts, watched=True)
        try:
            said = self.place.send(body, tap, streaming=False, more=trace_headers())
            said.read()
            return self.judged(call, attempt, tap, self.answer(said))
        except Exception as error:
            return failure(attempt.target, tap, error, call.messages, own=True)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if (body := self.body(call)) is None:
            return await self._litellm.acomplete(call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        tap = new_tap("openai", attempt.timeouts, watched=True)
        try:
            said = await self.place.asend(body, tap, streaming=False, more=trace_headers())
            await said.aread()
            return self.judged(call, attempt, tap, self.answer(said))
        except Exception as error:
            return failure(attempt.target, tap, error, call.messages, own=True)

    def stream(self, call: Call, attempt: Attempt) -> Source:
        """Return the stream; the request is made by its first `next`."""
        if (body := self.body(call)) is None or self.connection.keyless:
            return self._litellm.stream(call, attempt)
        return DirectSource(self, call, attempt, body)

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource:
        """Return the stream; the request is made by its first `anext`."""
        if (body := self.body(call)) is None or self.connection.keyless:
            return self._litellm.astream(call, attempt)
        return AsyncDirectSource(self, call, attempt, body)

    def handle(self, attempt: Attempt, asynchronous: bool) -> AttemptTarget:
        """Return what a decorated function is given."""
        return AttemptTarget(self.connection, attempt, asynchronous)

    def vouch(self, attempt: Attempt) -> Failed | None:
        """The address was listed as local by the user: there is nobody else to ask."""
        return None

    async def avouch(self, attempt: Attempt) -> Failed | None:
        """As `vouch`."""
        return None

    def prepare(self) -> None:
        """Read the table of models: when they retire is asked of every answer."""
        model_table.table()

    # What the four shapes share.

    @cached_property
    def place(self) -> Post:
        """Where chats are posted to; its connections are opened by the first request."""
        connection = self.connection
        base = connection.base_url.rstrip("/")
        url = base if base.endswith(PATH) else base + PATH
        headers = {"authorization": f"Bearer {connection.api_key or NO_KEY_NEEDED}"}
        if kind_of(connection.spec.provider) == "openai":
            found = {v: (name, os.environ.get(v)) for v, name in _SDK_HEADERS.items()}
            headers |= {name: clean_key(value, v) for v, (name, value) in found.items() if value}
        pool = connection.pool
        assert pool is not None, "an endpoint without an address is litellm's"
        return Post(pool, url, headers)

    def body(self, call: Call) -> bytes | None:
        """Return the request as it is sent; None if litellm is to send it."""
        if litellm_has_hooks():
            return None
        body = body_of(self._dialect, self.connection.spec, call)
        if body is None:
            return None
        try:
            return dumped(body)
        except (TypeError, ValueError, RecursionError):  # an SDK's own objects, for instance
            return None

    def answer(self, said: Said) -> dict[str, Any]:
        """Return the JSON of a success; raises what a refusal is to its callers."""
        if not said.is_success:
            raise self.refusal(said)
        return parsed(said.content)

    def refusal(self, said: Said) -> Exception:
        """Return the exception of an answer that is none."""
        spec = self.connection.spec
        return status_error(said, self.place.url, spec.provider, spec.bare_model)

    def judged(
        self, call: Call, attempt: Attempt, tap: Tap, data: dict[str, Any]
    ) -> Answered | Failed:
        """Hold an answer against the wire."""
        from pilotlight.providers.classify import judge

        spec = self.connection.spec
        view = view_of(flattened(data), spec.bare_model, tap)
        if (verdict := judge(tap, view, prompt_texts=Texts(call.messages))) is not None:
            return verdict_failure(attempt.target, verdict)
        return Answered(ChatReply(data, spec.provider), facts_of(view, tap, data))


class _Source:
    """What the two colours of stream share: what has been read, and how it is judged."""

    def __init__(self, provider: DirectProvider, call: Call, attempt: Attempt, body: bytes) -> None:
        self._provider = provider
        self._call = call
        self._attempt = attempt
        self._body = body
        self._tap = new_tap("openai", attempt.timeouts, watched=True)
        self._notes = ChunkNotes(provider.connection.spec.bare_model)
        self._events = EventDecoder()
        self._ready: deque[bytes] = deque()  # data of events that have come but were not handed on
        self._wants_usage = bool((call.options.get("stream_options") or {}).get("include_usage"))

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""
        return self._notes.committed

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        if self._tap.terminal and not self._tap.in_band_error:
            return self.ended()
        target, notes = self._attempt.target, self._notes
        said, tools = notes.text, notes.tool_calls
        return failure(target, self._tap, error, self._call.messages, said, tools, own=True)

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""
        from pilotlight.providers.classify import judge

        view = self._notes.view(self._tap)
        if (verdict := judge(self._tap, view, prompt_texts=Texts(self._call.messages))) is not None:
            target, notes = self._attempt.target, self._notes
            return verdict_failure(target, verdict, notes.text, notes.tool_calls)
        return Ended(facts_of(view, self._tap, self._notes))

    def _chunk(self, data: bytes) -> Any | None:
        """Return the chunk of an event, or None if it has nothing to say to a reader."""
        said = parsed(data)
        wordless = not said.get("choices")
        if wordless and said.get("error"):
            spec = self._provider.connection.spec
            raise in_band_error(said, self._provider.place.url, spec.provider, spec.bare_model)
        if wordless and not said.get("usage"):
            return None
        if wordless:  # code for litellm's chunks expects a choice in each
            said["choices"] = [{"index": 0, "delta": {}, "finish_reason": None}]
        chunk = shapes.Shape(flattened(said, "delta"))
        self._notes.add(chunk)
        return None if wordless and not self._wants_usage else chunk


class DirectSource(_Source):
    """A stream read from the server, in plain iteration."""

    _pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while True:
            while not self._ready:
                self._read_on()
            data = self._ready.popleft()
            if data == LAST_WORD:
                self._tap.body.rest(PATIENCE)
                raise StopIteration
            if (chunk := self._chunk(data)) is not None:
                return chunk

    def _read_on(self) -> None:
        if self._pieces is None:
            said = self._provider.place.send(
                self._body, self._tap, streaming=True, more=trace_headers()
            )
            if not said.is_success:
                said.read()
                raise self._provider.refusal(said)
            self._pieces = said.iter_bytes()
        try:
            self._ready.extend(self._events.feed(next(self._pieces)))
        except StopIteration:
            if not (rest := self._events.finish()):
                raise
            self._ready.extend(rest)

    def close(self) -> None:
        """Give the connection back."""
        self._tap.close()


class AsyncDirectSource(_Source):
    """A stream read from the server, in async iteration."""

    _pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while True:
            while not self._ready:
                await self._read_on()
            data = self._ready.popleft()
            if data == LAST_WORD:
                await self._tap.body.arest(PATIENCE)
                raise StopAsyncIteration
            if (chunk := self._chunk(data)) is not None:
                return chunk

    async def _read_on(self) -> None:
        if self._pieces is None:
            said = await self._provider.place.asend(
                self._body, self._tap, streaming=True, more=trace_headers()
            )
            if not said.is_success:
                await said.aread()
                raise self._provider.refusal(said)
            self._pieces = said.aiter_bytes()
        try:
            self._ready.extend(self._events.feed(await anext(self._pieces)))
        except StopAsyncIteration:
            if not (rest := self._events.finish()):
                raise
            self._ready.extend(rest)

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._tap.aclose()
