"""What an SDK sends to Ollama's `/v1/chat/completions`, asked by `/api/chat` in its place.

`/v1` takes no `num_ctx`: it throws the warmed model out and cuts prompts without a word.  So a
decorated function, whatever SDK it uses, is given the target's context, its warm model, and the
check that the prompt was read whole.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, Final, NamedTuple, Protocol

import httpx

from pilotlight.core.provider import Attempt, Call, Failed
from pilotlight.errors import InvalidCall, ProviderFault
from pilotlight.providers.connection import Connection
from pilotlight.providers.ollama.answer import ChunkBuilder, completion_from, loading_in
from pilotlight.providers.ollama.http import NdjsonDecoder
from pilotlight.providers.ollama.request import ChatRequest
from pilotlight.wire.http import dumped, parsed
from pilotlight.wire.tap import Tap
from pilotlight.wire.transport import AsyncWireTransport, WireTransport

_PATH: Final = "/v1/chat/completions"
_JSON: Final = {"content-type": "application/json"}
_EVENTS: Final = {"content-type": "text/event-stream"}
# What `/v1` itself does not know, and a chat of ours would pass on.
_NOT_OURS: Final = frozenset({"model", "messages", "stream"})


class Asker(Protocol):
    """What has to be known of the provider (`ollama.provider.OllamaProvider`)."""

    connection: Connection
    model: str

    def asked(self, call: Call) -> ChatRequest: ...

    def half_read(
        self, call: Call, attempt: Attempt, tap: Tap, read: int | None, partial: str = ""
    ) -> Failed | None: ...


class _Talk:
    """One chat on its way: the request in Ollama's shape, and its answer in OpenAI's."""

    def __init__(
        self, provider: Asker, attempt: Attempt, tap: Tap, said: Mapping[str, Any]
    ) -> None:
        self._provider = provider
        self._attempt = attempt
        self._tap = tap
        self.call = Call(
            "decorated",
            said.get("messages") or (),
            {n: v for n, v in said.items() if n not in _NOT_OURS and v is not None},
            stream=said.get("stream") is True,
        )
        self._id, self._created = f"chatcmpl-{os.urandom(12).hex()}", int(time.time())

    def request(self, given: httpx.Request) -> httpx.Request:
        """Return the request for Ollama; raises InvalidCall for what it can't be asked."""
        return httpx.Request(
            "POST",
            f"{self._provider.connection.base_url}/api/chat",
            headers={n: v for n, v in given.headers.items() if n in ("authorization", "accept")}
            | {"accept-encoding": "identity", **_JSON},
            content=dumped(self._provider.asked(self.call).body),
            extensions=given.extensions,
        )

    def answer(self, body: bytes) -> httpx.Response:
        """Return a whole answer; raises what is wrong with it."""
        said = parsed(body)
        self._tap.loading = loading_in(said)
        read = said.get("prompt_eval_count")
        self._check(read if type(read) is int else None)
        data = completion_from(said, model=self._provider.model, created=self._created, id=self._id)
        return httpx.Response(200, headers=_JSON, content=dumped(data))

    def refusal(self, status: int, body: bytes) -> httpx.Response:
        """Return a refusal as OpenAI has it."""
        try:
            told = json.loads(body).get("error")
        except (ValueError, AttributeError):
            told = None
        message = told if isinstance(told, str) else body.decode("utf-8", "replace")
        return httpx.Response(status, headers=_JSON, content=_error(message))

    def events(self) -> _Events:
        """Return what makes OpenAI's events of Ollama's lines."""
        usage = (self.call.options.get("stream_options") or {}).get("include_usage") is True
        built = ChunkBuilder(
            self._provider.model, created=self._created, id=self._id, include_usage=usage
        )
        return _Events(self, built, NdjsonDecoder())

    def check_stream(self, built: ChunkBuilder) -> None:
        """Raise if the prompt of a stream that is over was read in part."""
        if built.done:
            self._tap.loading = built.loading
            self._check(built.prompt_tokens, built.text)

    def _check(self, read: int | None, said: str = "") -> None:
        half = self._provider.half_read(self.call, self._attempt, self._tap, read, said)
        if half is not None and isinstance(half.report.error, ProviderFault):
            self._tap.told = half.report.error  # whatever an SDK makes of it
            raise half.report.error


class _Events(NamedTuple):
    talk: _Talk
    built: ChunkBuilder
    decoder: NdjsonDecoder

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield the events that they make."""
        yield from self._events(self.decoder.feed(piece))

    def finish(self) -> Iterator[bytes]:
        """Take note of the end; yield the last events."""
        yield from self._events(self.decoder.finish())
        self.talk.check_stream(self.built)
        if not self.built.done:
            return  # it broke off: no last word
        if (usage := self.built.usage_chunk()) is not None:
            yield b"data: %b\n\n" % dumped(usage)
        yield b"data: [DONE]\n\n"

    def _events(self, lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
        for line in lines:
            if (chunk := self.built.feed(line)) is not None:
                yield b"data: %b\n\n" % dumped(chunk)


class _Stream(httpx.SyncByteStream):
    def __init__(self, response: httpx.Response, events: _Events) -> None:
        self._response = response
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        with closing(self):  # an SDK does not close what it could not read
            for piece in self._response.iter_raw():
                yield from self._events.feed(piece)
            yield from self._events.finish()

    def close(self) -> None:
        self._response.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, events: _Events) -> None:
        self._response = response
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self):
            async for piece in self._response.aiter_raw():
                for event in self._events.feed(piece):
                    yield event
            for event in self._events.finish():
                yield event

    async def aclose(self) -> None:
        await self._response.aclose()


class _Door:
    """What the two colours share."""

    def __init__(self, provider: Asker, attempt: Attempt, tap: Tap) -> None:
        assert provider.connection.pool is not None, "an Ollama's address is always known"
        super().__init__(provider.connection.pool, tap)  # type: ignore[call-arg]
        self._provider = provider
        self._attempt = attempt
        self._own_tap = tap

    def _talk(self, request: httpx.Request) -> tuple[_Talk, httpx.Request] | None:
        """Return a chat that is asked in Ollama's words; None for any other request."""
        if request.method != "POST" or not request.url.path.endswith(_PATH):
            return None
        try:
            said = json.loads(request.content)
        except (ValueError, RecursionError, httpx.RequestNotRead):
            return None
        if type(said) is not dict or said.get("model") != self._provider.model:
            return None
        talk = _Talk(self._provider, self._attempt, self._own_tap, said)
        return talk, talk.request(request)


class OpenAIDoor(_Door, WireTransport):
    """The transport of an SDK's HTTP client."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, a chat by Ollama's own API."""
        try:
            found = self._talk(request)
        except InvalidCall as error:  # nothing is sent
            return httpx.Response(400, headers=_JSON, content=_error(str(error)))
        if found is None:
            return super().handle_request(request)
        talk, native = found
        response = super().handle_request(native)
        if response.has_redirect_location:  # whoever follows it comes to the gate for hosts
            return response
        if response.is_success and talk.call.stream:
            return httpx.Response(200, headers=_EVENTS, stream=_Stream(response, talk.events()))
        with closing(response):
            body = response.read()
        if response.is_success:
            return talk.answer(body)
        return talk.refusal(response.status_code, body)


class AsyncOpenAIDoor(_Door, AsyncWireTransport):
    """The same for async."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, a chat by Ollama's own API."""
        try:
            found = self._talk(request)
        except InvalidCall as error:
            return httpx.Response(400, headers=_JSON, content=_error(str(error)))
        if found is None:
            return await super().handle_async_request(request)
        talk, native = found
        response = await super().handle_async_request(native)
        if response.has_redirect_location:
            return response
        if response.is_success and talk.call.stream:
            stream = _AsyncStream(response, talk.events())
            return httpx.Response(200, headers=_EVENTS, stream=stream)
        async with aclosing(response):
            body = await response.aread()
        if response.is_success:
            return talk.answer(body)
        return talk.refusal(response.status_code, body)


def _error(message: str) -> bytes:
    error = {"message": message, "type": "api_error", "param": None, "code": None}
    return dumped({"error": error})
