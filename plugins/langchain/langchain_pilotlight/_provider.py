"""A LangChain chat model as a target of the core: it asks, and hands up what came of it.

The model's protected methods are called, not `invoke`: its callbacks would count every call
and every token twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_pilotlight._convert import (
    Notes,
    as_chunk,
    in_common,
    portable,
    portable_tools,
    says,
    with_ids,
)
from langchain_pilotlight._errors import NotAllowed, is_signal
from langchain_pilotlight._vendors import astray, held, wired
from pilotlight.extension import (
    Adapter,
    Answered,
    Attempt,
    AttemptRecord,
    Call,
    Ended,
    Endpoint,
    Failed,
)


class ModelProvider(Adapter):
    """Asks one chat model.

    `own_words`: what is bound is in this model's own language, as it is for the primary and
    for models of the same class; the others are given what all have in common.
    """

    def __init__(
        self, model: BaseChatModel, endpoint: Endpoint, *, primary: bool, own_words: bool
    ) -> None:
        self.model = model
        self.hold = False
        self._endpoint = endpoint
        self._primary = primary
        self._own_words = own_words
        self._ready: BaseChatModel | None = None
        self._at_home: BaseChatModel | None = None
        self._provider = str(model._get_ls_params().get("ls_provider", ""))

    def prepare(self) -> None:
        """Make the copy that does not retry by itself, over the clients that listen."""
        if self._ready is None:
            self._ready = cast("BaseChatModel", wired(self.model, self._endpoint))

    def settle(self) -> bool:
        """Make the copy for private calls, and tell whether there can be one."""
        self._at_home = cast("BaseChatModel | None", held(self.model, self._endpoint))
        return self._at_home is not None

    def astray(self, options: Mapping[str, Any]) -> NotAllowed | None:
        """Return the error of a private call whose options would have another model asked."""
        proven = self._endpoint.model.partition("/")[2]
        if not self._primary and not self._own_words:
            return None  # it is given what all have in common
        found = astray(options, proven if self._primary else None)
        return None if found is None else NotAllowed.of_another_model(*found, proven)

    def asked(self, call: Call, record: AttemptRecord) -> tuple[BaseChatModel, dict[str, Any]]:
        """Return the model to ask, and with what."""
        model, given = self._model_for(call), dict(call.options)
        messages = portable(cast("Sequence[BaseMessage]", call.messages), self._provider)
        tools, choice = given.pop("tools", None), given.pop("tool_choice", None)
        stop = given.pop("stop", None)
        if not self._primary:
            given.pop("model", None)
        if not self._own_words:
            tools = portable_tools(tools or ())
            given, settings = in_common(model, given)
            model = model.model_copy(update=settings) if settings else model
        if tools:
            given = _bound(model, tools, choice, given)
        if record.timeouts.total is not None and _takes_timeout(model):
            given.setdefault("timeout", record.timeouts.total)
        return model, {"messages": messages, "stop": stop, **given}

    def _model_for(self, call: Call) -> BaseChatModel:
        if not call.private:
            self.prepare()
        model = self._at_home if call.private else self._ready
        assert model is not None, "a private call asks local targets, and those are settled"
        return model

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once."""
        _wait_for_rate(self.model)
        record = self._endpoint.record(call, attempt)
        if (away := record.verify_local()) is not None:
            return away
        try:
            with record:
                model, asked = self.asked(call, record)
                result = model._generate(**asked)
        except Exception as error:
            return _failed(record, error)
        return _judged(record, result)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once, without blocking the event loop."""
        import asyncio

        await _await_rate(self.model)
        record = self._endpoint.record(call, attempt)
        if (away := await record.averify_local()) is not None:
            return away
        try:
            with record:
                model, asked = self.asked(call, record)
                async with asyncio.timeout(record.timeouts.total):
                    result = await model._agenerate(**asked)
        except Exception as error:
            return _failed(record, error)
        return _judged(record, result)

    def stream(self, call: Call, attempt: Attempt) -> ModelSource:
        """Return the stream; the request is made by its first `next`."""
        return ModelSource(self, call, self._endpoint.record(call, attempt))

    def astream(self, call: Call, attempt: Attempt) -> AsyncModelSource:
        """Return the stream; the request is made by its first `anext`."""
        return AsyncModelSource(self, call, self._endpoint.record(call, attempt))


def _bound(
    model: BaseChatModel, tools: Sequence[Any], choice: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what this model's own `bind_tools` makes of the tools."""
    options = dict(given)
    if choice is not None:
        options["tool_choice"] = choice
    binding = cast("Any", model.bind_tools(tools, **options))
    return dict(binding.kwargs)


def _takes_timeout(model: BaseChatModel) -> bool:
    """Tell whether the SDK takes a time limit with each call."""
    roots = {str(kind.__module__).partition(".")[0] for kind in type(model).__mro__}
    return bool(roots & {"langchain_openai", "langchain_anthropic"})


def _wait_for_rate(model: BaseChatModel) -> None:
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)


async def _await_rate(model: BaseChatModel) -> None:
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)


def _failed(record: AttemptRecord, error: Exception) -> Failed:
    if is_signal(error):
        raise error
    return record.failed(error)


def _judged(record: AttemptRecord, result: ChatResult) -> Answered | Failed:
    notes = Notes()
    for generation in result.generations[:1]:
        notes.add(generation)
        with_ids(cast("Any", generation.message))
    return record.answered(result, notes.view, notes.facts)


class _Source:
    """What the two colours of stream share."""

    def __init__(self, provider: ModelProvider, call: Call, record: AttemptRecord) -> None:
        self._provider = provider
        self._call = call
        self._record = record
        self._notes = Notes()
        self._chunks: Any = None

    def commits(self, chunk: ChatGenerationChunk) -> bool:
        """Tell whether this chunk carries text or a tool call; a stream that is held never does."""
        return says(chunk) and not self._provider.hold

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream."""
        if isinstance(error, _Away):
            return error.failure
        if is_signal(error):
            raise error
        return self._record.broken_off(error, self._notes.view)

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out."""
        return self._record.ended(self._notes.view, self._notes.facts)

    def _note(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        self._notes.add(chunk)
        return chunk


class _Away(Exception):
    """The model is not at home, and the call is private."""

    def __init__(self, failure: Failed) -> None:
        super().__init__()
        self.failure = failure


class ModelSource(_Source):
    """A stream of one chat model, in plain iteration."""

    def __iter__(self) -> Iterator[ChatGenerationChunk]:
        return self

    def __next__(self) -> ChatGenerationChunk:
        if self._chunks is None:
            _wait_for_rate(self._provider.model)
            if (away := self._record.verify_local()) is not None:
                raise _Away(away)
        with self._record:
            if self._chunks is None:
                self._chunks = self._open()
            try:
                chunk = next(self._chunks)
                self._record.check()
                return self._note(chunk)
            except StopIteration:
                self._record.drain()
                raise

    def _open(self) -> Iterator[ChatGenerationChunk]:
        model, asked = self._provider.asked(self._call, self._record)
        if type(model)._stream is not BaseChatModel._stream and not _whole(model):
            return model._stream(**asked)
        result = model._generate(**asked)
        return iter([as_chunk(generation.message) for generation in result.generations[:1]])

    def close(self) -> None:
        """Give the connection back."""
        if (close := getattr(self._chunks, "close", None)) is not None:
            close()
        self._record.close()


class AsyncModelSource(_Source):
    """A stream of one chat model, in async iteration."""

    def __aiter__(self) -> AsyncIterator[ChatGenerationChunk]:
        return self

    async def __anext__(self) -> ChatGenerationChunk:
        if self._chunks is None:
            await _await_rate(self._provider.model)
            if (away := await self._record.averify_local()) is not None:
                raise _Away(away)
        with self._record:
            if self._chunks is None:
                self._chunks = self._open()
            try:
                chunk = await anext(self._chunks)
                self._record.check()
                return self._note(chunk)
            except StopAsyncIteration:
                await self._record.adrain()
                raise

    async def _open(self) -> AsyncIterator[ChatGenerationChunk]:
        model, asked = self._provider.asked(self._call, self._record)
        kind = type(model)
        native = kind._astream is not BaseChatModel._astream
        if (native or kind._stream is not BaseChatModel._stream) and not _whole(model):
            async for chunk in model._astream(**asked):
                yield chunk
            return
        result = await model._agenerate(**asked)
        for generation in result.generations[:1]:
            yield as_chunk(generation.message)

    async def aclose(self) -> None:
        """Give the connection back."""
        if (close := getattr(self._chunks, "aclose", None)) is not None:
            await close()
        await self._record.aclose()


def _whole(model: BaseChatModel) -> bool:
    """Tell whether its owner wants no streams of it."""
    return model.disable_streaming is True
