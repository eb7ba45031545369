"""The local leg: Ollama's native `/api/chat` and `/api/embed`, answers in OpenAI's shape.

It does not go through litellm, whose Ollama path loses errors in mid-stream,
`length` and tool-call ids, asks `localhost` behind one's back, and obeys global
settings that can send a private prompt out of the house.

The server's own words decide whether a model is local: a stub may hide a cloud
model behind any name.  Before each private call the model is looked up, and
every answer is checked for a `remote_host`.

A little long, because the four shapes stand side by side to be compared.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from pilotlight.core.provider import Answered, Attempt, Call, Ended, Facts, Failed, Report
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import failure, verdict_failure
from pilotlight.errors import ProviderFault
from pilotlight.providers import shapes
from pilotlight.providers.attempt_target import AttemptTarget
from pilotlight.providers.connection import Connection
from pilotlight.providers.gather import agather, gather
from pilotlight.providers.native.manners import is_simple
from pilotlight.providers.native.plain_values import is_json
from pilotlight.providers.ollama import http
from pilotlight.providers.ollama.answer import ChunkBuilder, completion_from, loading_in
from pilotlight.providers.ollama.context import cut
from pilotlight.providers.ollama.embeddings import TOO_OLD, embed_request, embedding_from, too_old
from pilotlight.providers.ollama.openai_door import AsyncOpenAIDoor, OpenAIDoor
from pilotlight.providers.ollama.request import ChatRequest, UnsupportedInput, chat_request
from pilotlight.providers.replies import ChatReply, EmbeddingReply, judge_vectors, vectors_in
from pilotlight.vocabulary.faults import Fault
from pilotlight.vocabulary.operations import Operation
from pilotlight.vocabulary.residency_rules import ResidencyRule
from pilotlight.wire.field_types import count_in
from pilotlight.wire.http import AsyncJsonClient, JsonClient, dumped, parsed
from pilotlight.wire.tap import Tap, current_tap, listening, new_tap, skips_of
from pilotlight.wire.trace_context import trace_headers

if TYPE_CHECKING:
    import httpx

    from pilotlight.wire.pool import Pool

Json = dict[str, Any]
_PRIVATE = Call("decorated", private=True)


class OllamaProvider:
    """Calls one model of an Ollama server: chats in the four shapes, and embeddings."""

    speaks = ("ollama",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.model = connection.spec.bare_model

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return gather(self, call, attempt)
        tap = new_tap("ollama", attempt.timeouts, watched=True)
        try:
            talk = _talk(call.operation)
            asked = talk.asked(self, call)  # before anything is sent
            body = dumped(asked.body)
            with listening(tap):
                self.prove(call)
                said = talk.post(self.client, body)
            self.check_answer(call, said)
            return _told(talk.judged(self, call, attempt, tap, said), asked.lost)
        except Exception as error:
            return self.failed(attempt, tap, error, call)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return await agather(self, call, attempt)
        tap = new_tap("ollama", attempt.timeouts, watched=True)
        try:
            talk = _talk(call.operation)
            asked = talk.asked(self, call)  # before anything is sent
            body = dumped(asked.body)
            with listening(tap):
                await self.aprove(call)
                said = await talk.apost(self.aclient, body)
            self.check_answer(call, said)
            return _told(talk.judged(self, call, attempt, tap, said), asked.lost)
        except Exception as error:
            return self.failed(attempt, tap, error, call)

    def stream(self, call: Call, attempt: Attempt) -> OllamaSource:
        """Return the stream; the request is made by its first `next`."""
        return OllamaSource(self, call, attempt)

    def astream(self, call: Call, attempt: Attempt) -> AsyncOllamaSource:
        """Return the stream; the request is made by its first `anext`."""
        return AsyncOllamaSource(self, call, attempt)

    def handle(self, attempt: Attempt, asynchronous: bool) -> AttemptTarget:
        """Return what a decorated function is given."""

        def transport(tap: Tap, coloured: bool) -> OpenAIDoor | AsyncOpenAIDoor:
            return (AsyncOpenAIDoor if coloured else OpenAIDoor)(self, attempt, tap)

        return AttemptTarget(self.connection, attempt, asynchronous, transport)

    def verify_local(self, attempt: Attempt) -> Failed | None:
        """Ask the server whether the model is its own; unknown means no."""
        tap = new_tap("ollama", attempt.timeouts, watched=True)
        try:
            with listening(tap):
                self.prove(_PRIVATE)
        except Exception as error:
            return self.failed(attempt, tap, error, _PRIVATE)
        return None

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        """As `verify_local`."""
        tap = new_tap("ollama", attempt.timeouts, watched=True)
        try:
            with listening(tap):
                await self.aprove(_PRIVATE)
        except Exception as error:
            return self.failed(attempt, tap, error, _PRIVATE)
        return None

    def prepare(self) -> None:
        """Nothing is slow to load here."""

    def unable(self, call: Call) -> str:
        """Return what of a call Ollama can't be told."""
        if call.operation != "chat" or not call.messages or is_simple(call.messages, call.options):
            return ""
        try:
            self.asked(call)
        except UnsupportedInput as told:
            return str(told) if is_json(call.options, call.messages) else ""
        except (TypeError, ValueError, RecursionError):
            pass
        return ""

    # What the four shapes share.

    @cached_property
    def client(self) -> JsonClient:
        """The way to the server, with its key, and with the trace if it is at home."""
        return JsonClient(*self._way())

    @cached_property
    def aclient(self) -> AsyncJsonClient:
        """The same for async."""
        return AsyncJsonClient(*self._way())

    def _way(self) -> tuple[Pool, str, Mapping[str, str], Callable[[], Mapping[str, str]]]:
        connection = self.connection
        key = connection.spec.api_key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self._pool(), connection.base_url, headers, trace_headers

    def asked(self, call: Call) -> ChatRequest:
        """Return the request; raises UnsupportedInput for what Ollama can't be asked."""
        spec = self.connection.spec
        return chat_request(
            self.model,
            call.messages,
            {**spec.options, **call.options},
            stream=call.stream,
            context=self.connection.context,
            keep_alive=spec.keep_alive,
        )

    def embedding_asked(self, call: Call) -> ChatRequest:
        """Return the request for vectors."""
        spec = self.connection.spec
        body = embed_request(
            self.model,
            [message["content"] for message in call.messages],
            {**spec.options, **call.options},
            context=self.connection.context,
            keep_alive=spec.keep_alive,
        )
        return ChatRequest(body, ())

    def prove(self, call: Call) -> None:
        """Ask the server whether the model is its own, before a private prompt goes to it."""
        if call.private:
            shown = self._pool().client().post(**self._show())
            self._judge_proof(shown)

    async def aprove(self, call: Call) -> None:
        """As `prove`."""
        if call.private:
            shown = await self._pool().aclient().post(**self._show())
            self._judge_proof(shown)

    def _pool(self) -> Pool:
        return cast("Pool", self.connection.pool)  # its address is always known

    def _show(self) -> Json:
        return {"url": f"{self.connection.base_url}/api/show", "json": {"model": self.model}}

    def _judge_proof(self, shown: httpx.Response) -> None:
        if shown.status_code == 404:
            return  # not here, so not elsewhere either: the call itself will say so
        shown.raise_for_status()
        self.check_home(parsed(shown.content))

    def check_answer(self, call: Call, said: Mapping[str, Any]) -> None:
        """Refuse a private answer that was given elsewhere: a stub has replaced the model."""
        if call.private:
            self.check_home(said)

    def check_home(self, said: Mapping[str, Any]) -> None:
        """Raise if the server's words say that the model runs elsewhere."""
        if said.get("remote_host") or said.get("remote_model"):
            host = str(said.get("remote_host") or "another host")
            raise _LeftHome(Fault.PRIVACY_BOUNDARY, evidence=f"the model runs on {host}")

    def failed(
        self,
        attempt: Attempt,
        tap: Tap,
        error: Exception,
        call: Call,
        partial: str = "",
        tools: bool = False,
    ) -> Failed:
        """Diagnose what an attempt raised."""
        if isinstance(error, UnsupportedInput):  # nothing was sent: it can't be said to Ollama
            return Failed(Report(Fault.INVALID_REQUEST, error))
        if isinstance(error, _LeftHome):
            told = ProviderFault(error.fault, attempt.target.name, error.evidence)
            report = Report(Fault.PRIVACY_BOUNDARY, told, None, tap.status, error.evidence)
            return Failed(replace(report, rule=ResidencyRule.REMOTE_HOST), partial)
        if call.operation == "embeddings" and too_old(error):
            error = ProviderFault(Fault.MODEL_NOT_FOUND, attempt.target.name, TOO_OLD)
            return Failed(Report(Fault.MODEL_NOT_FOUND, error, None, tap.status, error.evidence))
        return failure(attempt.target, tap, error, call.messages, partial, tools, own=True)

    def half_read(
        self, call: Call, attempt: Attempt, tap: Tap, read: int | None, partial: str = ""
    ) -> Failed | None:
        """Refuse an answer to a prompt of which the server has read only a part."""
        context = self.connection.room(call.options)
        error = cut(call, context, attempt.target.name, read)
        if error is None:
            return None
        report = Report(Fault.CONTEXT_EXCEEDED, error, None, tap.status, error.evidence)
        return Failed(report, partial)

    def judged(self, call: Call, attempt: Attempt, tap: Tap, said: Json) -> Answered | Failed:
        """Hold an answer against the wire, and turn it into OpenAI's shape."""
        from pilotlight.diagnosis.answer_view import view_of
        from pilotlight.diagnosis.classify import judge

        data = completion_from(said, model=self.model, created=int(time.time()), id=_new_id())
        view = view_of(data, self.model, tap)
        if (verdict := judge(tap, view, prompt_texts=Texts(call.messages))) is not None:
            return verdict_failure(attempt.target, verdict)
        read = count_in(said, "prompt_eval_count")
        if (short := self.half_read(call, attempt, tap, read)) is not None:
            return short
        flags = ("remote",) if said.get("remote_host") else ()
        usage = data["usage"]
        facts = Facts(
            view.model_answered,
            usage["prompt_tokens"],
            usage["completion_tokens"],
            view.finish_reason,
            tap.status,
            flags,
            own=tap.ledger.own,
            loading=loading_in(said),
        )
        return Answered(ChatReply(data, "ollama"), facts)

    def judged_vectors(
        self, call: Call, attempt: Attempt, tap: Tap, said: Json
    ) -> Answered | Failed:
        """Hold the vectors against the wire and the space, and turn them into OpenAI's shape."""
        data = embedding_from(said, model=self.model)
        vectors = vectors_in(data["data"])
        asked = {**self.connection.spec.options, **call.options}.get("dimensions")
        if (verdict := judge_vectors(call, attempt, tap, vectors, asked)) is not None:
            return verdict_failure(attempt.target, verdict)
        flags = ("remote",) if said.get("remote_host") else ()
        tokens = data["usage"]["prompt_tokens"]
        facts = Facts(self.model, tokens, None, None, tap.status, flags, loading=loading_in(said))
        return Answered(EmbeddingReply(vectors or [], data), facts)


@dataclass(frozen=True, slots=True)
class _Talk:
    """One operation as Ollama does it: the request, its endpoint, and the judge."""

    asked: Callable[[OllamaProvider, Call], ChatRequest]
    post: Callable[[Any, bytes], Json]
    apost: Callable[[Any, bytes], Awaitable[Json]]
    judged: Callable[[OllamaProvider, Call, Attempt, Tap, Json], Answered | Failed]


_TALKS: Final[Mapping[Operation, _Talk]] = {
    "chat": _Talk(
        OllamaProvider.asked,
        http.post_chat,
        http.apost_chat,
        OllamaProvider.judged,
    ),
    "embeddings": _Talk(
        OllamaProvider.embedding_asked,
        http.post_embed,
        http.apost_embed,
        OllamaProvider.judged_vectors,
    ),
}


def _told(found: Answered | Failed, lost: tuple[str, ...]) -> Answered | Failed:
    """Return an answer with what of the call could not be told."""
    if not lost or isinstance(found, Failed):
        return found
    return replace(found, facts=replace(found.facts, lost=lost))


def _talk(operation: Operation) -> _Talk:
    if (found := _TALKS.get(operation)) is None:
        raise UnsupportedInput(f"Ollama can't be asked for an {operation}")
    return found


class _LeftHome(ProviderFault):
    """A model with a local name that runs elsewhere."""


class _Source:
    """What the two colours of stream share."""

    def __init__(self, provider: OllamaProvider, call: Call, attempt: Attempt) -> None:
        self._provider = provider
        self._call = call
        self._attempt = attempt
        self.tap = self._tap = new_tap(
            "ollama", attempt.timeouts, watched=True, checks=False, gathers=attempt.gather
        )
        usage = (call.options.get("stream_options") or {}).get("include_usage", False)
        self._built = ChunkBuilder(
            provider.model, created=int(time.time()), id=_new_id(), include_usage=bool(usage)
        )
        self._lost: tuple[str, ...] = ()
        self._reasoned = False
        self._usage_sent = False

    def _body(self) -> bytes:
        asked = self._provider.asked(self._call)
        self._lost = asked.lost
        return dumped(asked.body)

    def commits(self, chunk: Any) -> bool:
        """Tell whether this chunk carries text or a tool call."""
        delta = chunk.choices[0].delta
        self._reasoned = self._reasoned or bool(delta.get("reasoning_content"))
        return self._begun

    @property
    def _begun(self) -> bool:
        return bool(self._built.text or self._built.tool_calls_seen)

    def _on_broken(self, broken: ProviderFault) -> None:
        """Leave a line out that can't be read, if the user wants that; else raise."""
        if self._call.skip_broken:
            self._tap.skipped += 1
            return
        self._tap.garble(broken.evidence, begun=self._begun)
        raise broken

    def failed(self, error: Exception) -> Ended | Failed:
        """Diagnose what interrupted the stream; what comes after the last word did not."""
        if self._built.done:
            return self.ended()
        built = self._built
        return self._provider.failed(
            self._attempt, self._tap, error, self._call, built.text, built.tool_calls_seen > 0
        )

    def ended(self) -> Ended | Failed:
        """Judge a stream that ran out: complete, truncated, empty."""
        from pilotlight.diagnosis.classify import AnswerView, judge

        built = self._built
        self._tap.terminal = built.done
        view = AnswerView(
            choices=1,
            text=built.text,
            tool_calls=built.tool_calls_seen > 0,
            finish_reason=built.finish_reason,
            model_asked=self._provider.model,
            model_answered=None,
            other_content=self._reasoned,
        )
        if (verdict := judge(self._tap, view, prompt_texts=Texts(self._call.messages))) is not None:
            return verdict_failure(
                self._attempt.target, verdict, built.text, built.tool_calls_seen > 0
            )
        read = built.prompt_tokens
        half = self._provider.half_read(self._call, self._attempt, self._tap, read, built.text)
        if half is not None:
            return replace(half, tool_begun=built.tool_calls_seen > 0)
        return Ended(
            Facts(
                self._provider.model,
                built.prompt_tokens,
                built.completion_tokens,
                built.finish_reason,
                self._tap.status,
                (("remote",) if built.remote_host else ()) + skips_of(self._tap),
                lost=self._lost,
                own=self._tap.ledger.own,
                loading=built.loading,
            )
        )

    def _chunk(self, line: Json) -> Any:
        """Return the chunk of a line, or None if it has nothing to say."""
        self._provider.check_answer(self._call, line)
        data = self._built.feed(line)
        return None if data is None else shapes.Shape(data)

    def _last(self) -> Any:
        """Return the usage chunk that was asked for, once."""
        data = None if self._usage_sent else self._built.usage_chunk()
        self._usage_sent = True
        return None if data is None else shapes.Shape(data)


class OllamaSource(_Source):
    """A stream read from Ollama, in plain iteration."""

    _lines: Iterator[Json] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        token = current_tap.set(self._tap)
        try:
            if self._lines is None:
                body = self._body()
                self._provider.prove(self._call)
                self._lines = http.stream_chat(self._provider.client, body, self._on_broken)
            for line in self._lines:
                if (chunk := self._chunk(line)) is not None:
                    return chunk
        finally:
            current_tap.reset(token)
        if (chunk := self._last()) is not None:
            return chunk
        raise StopIteration

    def close(self) -> None:
        """Give the connection back; the server stops generating."""
        if self._lines is not None:
            cast("Any", self._lines).close()
        self._tap.close()


class AsyncOllamaSource(_Source):
    """A stream read from Ollama, in async iteration."""

    _lines: AsyncIterator[Json] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        token = current_tap.set(self._tap)
        try:
            if self._lines is None:
                body = self._body()
                await self._provider.aprove(self._call)
                self._lines = http.astream_chat(self._provider.aclient, body, self._on_broken)
            async for line in self._lines:
                if (chunk := self._chunk(line)) is not None:
                    return chunk
        finally:
            current_tap.reset(token)
        if (chunk := self._last()) is not None:
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give the connection back; the server stops generating."""
        if self._lines is not None:
            await cast("Any", self._lines).aclose()
        await self._tap.aclose()


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex[:24]}"
