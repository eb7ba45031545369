"""Closed and hosted models, by way of litellm over our own transport.

litellm knows the dialects; we know what was really said.  Each call is handed
`client=` with our tap on it, litellm's retries are off, and every answer is held
against the wire before it counts as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pilotlight.catalog.litellm_module import litellm
from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.provider import Answered, Attempt, Call, Ended, Failed
from pilotlight.diagnosis.answer_view import ChunkNotes, facts_of
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import failure, keyless_failure, verdict_failure
from pilotlight.errors import ProviderFault
from pilotlight.providers.attempt_target import AttemptTarget
from pilotlight.providers.connection import Connection
from pilotlight.providers.gather import agather, gather
from pilotlight.providers.litellm.operations import WORK
from pilotlight.providers.native.plain_values import own_copy
from pilotlight.providers.reread import shown
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation
from pilotlight.wire.tap import Tap, current_tap, listening, new_tap

# litellm reads the tokens of a stream off the wire, and hands them on when asked.
_COUNTED_BY_LITELLM = frozenset({"anthropic", "gemini"})
_COUNTED = frozenset({"openai", "deepseek"})  # these servers take the wish themselves


class LiteLLMProvider:
    """Calls one endpoint through litellm: chats in the four shapes, and embeddings and images."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return gather(self, call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        module = litellm()  # before the clocks start: its first import takes seconds
        work = WORK[call.operation]
        tap = self.tap(call, attempt)
        try:
            with listening(tap):
                response = getattr(module, work.ask)(**self.kwargs(call, attempt, False))
            return work.judged(self.connection, call, attempt, tap, response)
        except Exception as error:
            return self.failed(call, attempt, tap, error)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return await agather(self, call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        module = litellm()
        from pilotlight.providers.litellm.clients import needs_thread

        if needs_thread(self.connection.spec.provider, call.operation):
            return await asyncio.to_thread(self.complete, call, attempt)
        work = WORK[call.operation]
        tap = self.tap(call, attempt)
        try:
            with listening(tap):
                response = await getattr(module, work.aask)(**self.kwargs(call, attempt, True))
            return work.judged(self.connection, call, attempt, tap, response)
        except Exception as error:
            return self.failed(call, attempt, tap, error)

    def failed(self, call: Call, attempt: Attempt, tap: Tap, error: Exception) -> Answered | Failed:
        """Diagnose what an attempt raised; an answer that litellm alone can't read is one."""
        failed = failure(attempt.target, tap, error, call.messages, own=True)
        if failed.report.fault is not Fault.MALFORMED_RESPONSE or call.operation != "chat":
            return failed
        try:
            found = shown(self.connection, call, attempt, tap)
            return found if isinstance(found, Answered) else failed
        except ProviderFault as odd:
            return failure(attempt.target, tap, odd, call.messages, own=True)

    def stream(self, call: Call, attempt: Attempt) -> LiteLLMSource:
        """Return the stream; the request is made by its first `next`."""
        return LiteLLMSource(self, call, attempt, self.connection)

    def astream(self, call: Call, attempt: Attempt) -> AsyncLiteLLMSource:
        """Return the stream; the request is made by its first `anext`."""
        return AsyncLiteLLMSource(self, call, attempt, self.connection)

    def handle(self, attempt: Attempt, asynchronous: bool) -> AttemptTarget:
        """Return what a decorated function is given."""
        return AttemptTarget(self.connection, attempt, asynchronous)

    def verify_local(self, attempt: Attempt) -> Failed | None:
        """The address was listed as local by the user: there is nobody else to ask."""
        return None

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        """As `verify_local`."""
        return None

    def prepare(self) -> None:
        """Import litellm, unless there is no key to use it with."""
        if self.connection.keyless is None:
            litellm()

    def tap(self, call: Call, attempt: Attempt) -> Tap:
        """Return the record of an attempt that starts now."""
        from pilotlight.providers.litellm.clients import kind_of

        connection = self.connection
        known = kind_of(connection.spec.provider, call.operation) is not None
        watched = known and connection.pool is not None
        tap = new_tap(
            connection.wire,
            attempt.timeouts,
            watched=watched,
            skips=call.skip_broken,
            gathers=attempt.gather,
        )
        tap.json_only = True
        return tap

    def kwargs(self, call: Call, attempt: Attempt, asynchronous: bool) -> dict[str, Any]:
        """Return everything that litellm is to be called with.

        Parameters that this provider does not know are dropped: a fallback that
        refuses the primary's `logit_bias` would be no fallback.
        """
        connection = self.connection
        options = {"drop_params": True, **connection.spec.options, **call.options}
        kwargs: dict[str, Any] = own_copy({**options, **WORK[call.operation].put(call)})
        kwargs |= {
            "model": connection.spec.model,
            "api_key": connection.api_key or NO_KEY_NEEDED,
            "timeout": attempt.timeouts.total,
            "num_retries": 0,
            "max_retries": 0,
        }
        if call.stream:
            kwargs["stream"] = True
            if attempt.gather or self.asks_for_count(call):
                kwargs["stream_options"] = {"include_usage": True}
        if connection.given_base or connection.wire == "openai":
            kwargs["api_base"] = connection.base_url or None
        if (client := self._client(call.operation, asynchronous)) is not None:
            kwargs["client"] = client
        return kwargs

    def asks_for_count(self, call: Call) -> bool:
        """Tell whether to ask for the tokens of a stream on our own behalf.

        Of servers of the user's own it is not known whether they take that wish.
        """
        spec = self.connection.spec
        given = {**spec.options, **call.options}.get("stream_options")
        known = spec.provider in _COUNTED_BY_LITELLM or (
            spec.provider in _COUNTED and not self.connection.given_base
        )
        return given is None and known

    def _client(self, operation: Operation, asynchronous: bool) -> object | None:
        connection = self.connection
        if connection.pool is None:
            return None
        from pilotlight.providers.litellm.clients import litellm_client

        return litellm_client(
            connection.pool,
            connection.spec.provider,
            asynchronous=asynchronous,
            api_key=connection.api_key or NO_KEY_NEEDED,
            base_url=connection.base_url or None,
            api_version=connection.spec.options.get("api_version"),
            operation=operation,
        )


class _Source:
    """What the two colours of stream share: what has been read, and how it is judged."""

    def __init__(
        self, provider: LiteLLMProvider, call: Call, attempt: Attempt, connection: Connection
    ) -> None:
        self._provider = provider
        self._call = call
        self._attempt = attempt
        self._mend = connection.keyless
        self._litellm: Any = None if self._mend else litellm()  # before the clocks start
        self.tap = self._tap = provider.tap(call, attempt)
        self._tap.keeps_lines = True
        spec = connection.spec
        self._notes = ChunkNotes(spec.bare_model, {**spec.options, **call.options})
        self._chunks: Any = None
        # The caller wants no chunk with the count; but an answer that is put together has it.
        self._counts = provider.asks_for_count(call) and not attempt.gather

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""
        return self._notes.committed

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        target, notes = self._attempt.target, self._notes
        if notes.whole and self._tap.terminal and not self._tap.in_band_error:
            return self.ended()
        if isinstance(error, _Keyless):
            return keyless_failure(target.name, str(error))
        said, tools = notes.text, notes.tool_calls
        return failure(target, self._tap, error, self._call.messages, said, tools, own=True)

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""
        from pilotlight.diagnosis.classify import judge

        view = self._notes.view(self._tap)
        if (verdict := judge(self._tap, view, prompt_texts=Texts(self._call.messages))) is not None:
            target, notes = self._attempt.target, self._notes
            return verdict_failure(target, verdict, notes.text, notes.tool_calls)
        return Ended(facts_of(view, self._tap, self._notes))

    def _unproven(self, chunk: Any) -> bool:
        """Tell whether a chunk names an end that the wire has not shown, or not yet.

        Raises ProviderFault where an event on the wire is an error, or can't be read.

        litellm makes one up for a stream that was cut, and stops reading before the
        end mark of some that were not.
        """
        tap = self._tap
        if tap.spoilt:  # litellm may well have passed over it
            raise ProviderFault("malformed_response", evidence=tap.spoilt)
        return self._notes.finished(chunk) and tap.requests > 0 and not tap.terminal

    def _hides(self, chunk: Any) -> bool:
        """Take note of a chunk; tell whether it holds only the count, which was our own wish."""
        over = self._notes.finish_reason is not None
        self._notes.add(chunk)
        counts = self._counts and over and getattr(chunk, "usage", None) is not None
        return counts and not self._notes.finished(chunk)

    def _kwargs(self, asynchronous: bool) -> dict[str, Any]:
        if self._mend is not None:
            raise _Keyless(self._mend)
        return self._provider.kwargs(self._call, self._attempt, asynchronous)


class _Keyless(Exception):
    """There is no key to open the stream with."""


class LiteLLMSource(_Source):
    """A stream read through litellm, in plain iteration."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        while self._hides(chunk := self._read()):
            pass
        return chunk

    def _read(self) -> Any:
        token = current_tap.set(self._tap)
        try:
            if self._chunks is None:
                kwargs = self._kwargs(asynchronous=False)
                self._chunks = iter(self._litellm.completion(**kwargs))
            chunk = next(self._chunks)
            while self._unproven(chunk):
                self._tap.drain()
                if not self._tap.terminal:
                    chunk = next(self._chunks)
        except StopIteration:
            self._tap.drain()
            raise
        finally:
            current_tap.reset(token)
        return chunk

    def close(self) -> None:
        """Give the connection back."""
        self._tap.close()


class AsyncLiteLLMSource(_Source):
    """A stream read through litellm, in async iteration."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while self._hides(chunk := await self._read()):
            pass
        return chunk

    async def _read(self) -> Any:
        token = current_tap.set(self._tap)
        try:
            if self._chunks is None:
                kwargs = self._kwargs(asynchronous=True)
                self._chunks = aiter(await self._litellm.acompletion(**kwargs))
            chunk = await anext(self._chunks)
            while self._unproven(chunk):
                await self._tap.adrain()
                if not self._tap.terminal:
                    chunk = await anext(self._chunks)
        except StopAsyncIteration:
            await self._tap.adrain()
            raise
        finally:
            current_tap.reset(token)
        return chunk

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._tap.aclose()
