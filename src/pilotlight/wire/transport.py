"""httpx transports that keep the attempt's record while the bytes go by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

import httpcore
import httpx

from pilotlight.wire.clocks import RequestMonitor, asks_for_several, asks_for_stream
from pilotlight.wire.content_coding import (
    MAX_BODY,
    TOO_LARGE,
    Headers,
    Inflater,
    UnfitBody,
    by_name,
    coding_of,
    inflated_headers,
)
from pilotlight.wire.field_types import DEEPEST, too_deep
from pilotlight.wire.garbage import ERROR_BODY, NO_JSON, is_garbage, is_unasked
from pilotlight.wire.network import AddressMismatch, Refused
from pilotlight.wire.socket_operation import Allowance
from pilotlight.wire.tap import Tap, current_tap

if TYPE_CHECKING:
    from pilotlight.wire.connections import AsyncConnections, Connections


HTTPCORE_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


TOO_DEEP: Final = f"JSON nested deeper than {DEEPEST}"


class HostRefused(httpx.ConnectError):
    """The request was for a host that is not the target's; nothing was sent, nor looked up."""


class Origin(Protocol):
    """Where requests may go, and the connections to it (`wire.pool.Pool`)."""

    allowed_hosts: frozenset[str]

    def connections(self) -> Connections:
        """Return the connections that the threads share."""

    async def aconnections(self) -> AsyncConnections:
        """Return the connections of the running loop."""


class WireTransport(httpx.BaseTransport):
    """Sends over the pool's connections; closing it leaves them open."""

    def __init__(self, pool: Origin, tap: Tap | None = None) -> None:
        self._pool = pool
        self._tap = tap

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and note the head of its response."""
        monitor = _begin(self._pool, request, self._tap)
        try:
            response = self._pool.connections().handle_request(_outgoing(request, monitor))
        except HTTPCORE_ERRORS as error:
            reraise(error, monitor)
        return _incoming(response, Body(response, monitor))


class AsyncWireTransport(httpx.AsyncBaseTransport):
    """The same for async; serves every event loop with connections of its own."""

    def __init__(self, pool: Origin, tap: Tap | None = None) -> None:
        self._pool = pool
        self._tap = tap

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and note the head of its response."""
        monitor = _begin(self._pool, request, self._tap)
        connections = await self._pool.aconnections()
        try:
            response = await connections.handle_async_request(_outgoing(request, monitor))
        except HTTPCORE_ERRORS as error:
            reraise(error, monitor)
        return _incoming(response, AsyncBody(response, monitor))


class _Body:
    """What the two colours of body share: how much may come, and what becomes of it."""

    def __init__(self, response: httpcore.Response, monitor: RequestMonitor | None) -> None:
        self._stream: Any = response.stream
        self._monitor = monitor
        headers = by_name(response.headers)
        self._coding = coding_of(told) if (told := headers.get("content-encoding")) else ""
        self._inflater: Inflater | None = None
        streamed = monitor is not None and monitor.streaming
        self._useless = response.status >= 400 or (not streamed and is_unasked(headers, monitor))
        # Of a stream that is not gathered, nobody keeps the whole.
        most = MAX_BODY if monitor is None or not streamed or monitor.tap.gathers else inf
        self._room = ERROR_BODY if self._useless else most
        self._over = False  # more came than is read of what is no answer
        if monitor is not None:
            monitor.answered(response.status, headers, self)

    @property
    def coded(self) -> bool:
        """Whether the body comes in another form than it is handed on."""
        return bool(self._coding)

    def _open(self) -> None:
        if self._coding:
            try:
                self._inflater = Inflater(self._coding)
            except UnfitBody as error:
                self._refuse(str(error))

    def _cut(self, piece: bytes) -> bytes:
        """Return what of a piece still has room, where it is an error's body."""
        if not self._useless:
            raise UnfitBody(TOO_LARGE)
        self._over = True
        return piece[: int(self._room)]

    def _end(self) -> None:
        """Take note that the body ended as HTTP says it should."""
        if self._inflater is not None and self._inflater.cut:
            self._refuse("a compressed body that breaks off")
        if self._monitor is not None:
            self._monitor.ended()
            if too_deep(self._monitor.tap.whole):  # a parser of somebody else's would take seconds
                self._refuse(TOO_DEEP)
            if self._monitor.tap.json_only and is_garbage(self._monitor.tap):
                self._refuse(NO_JSON)

    def settle(self) -> None:
        """Take note of the reader's word that the answer is over."""
        if self._monitor is not None and not self._monitor.settled:
            self._monitor.settle()

    def _let_go(self) -> Any:
        """Return the stream to close, None if it is; what a request has left is freed at once.

        Else it would wait for the garbage collector: httpx's responses refer to themselves.
        """
        stream, self._stream = self._stream, None
        if (monitor := self._monitor) is not None:
            if monitor.tap.body is self:
                monitor.tap.body = None
            if monitor.tap.complete:
                self._monitor = None
        return stream

    def _is_over(self) -> bool:
        """Tell whether an error may end the body: after the end of the answer it says nothing."""
        monitor = self._monitor
        if monitor is None or not monitor.settled:
            return False
        monitor.tap.expired, monitor.tap.starved = None, False
        return True

    def _broke(self, error: Exception) -> NoReturn:
        if self._monitor is not None:
            self._monitor.tap.broken = True
        reraise(error, self._monitor)

    def _refuse(self, why: str) -> NoReturn:
        if self._monitor is not None:
            self._monitor.tap.broken = True
            self._monitor.tap.unfit = why
        raise UnfitBody(why)


class Body(_Body, httpx.SyncByteStream):
    """A response body on its way to the consumer."""

    _pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._open()
        self._pieces = iter(self._stream)
        return self

    def __next__(self) -> bytes:
        assert self._pieces is not None
        if self._over:
            raise StopIteration
        monitor = self._monitor
        if monitor is not None:
            monitor.resume()
        try:
            piece = next(self._pieces) if self._inflater is None else self._inflated()
            self._room -= len(piece)
            if self._room < 0:
                piece = self._cut(piece)
        except StopIteration:
            self._end()
            raise
        except UnfitBody as error:
            self._refuse(str(error))
        except HTTPCORE_ERRORS as error:
            if self._is_over():
                raise StopIteration from None
            self._broke(error)
        if monitor is not None:
            monitor.saw(piece)
            if monitor.kept is not None:
                return monitor.kept(piece)
        return piece

    def _inflated(self) -> bytes:
        assert self._pieces is not None
        assert self._inflater is not None
        while not (piece := self._inflater.step()):
            self._inflater.put(next(self._pieces))
        return piece

    def rest(self, seconds: float) -> None:
        """Read what is left after the last word: read to its end, a connection can be used again.

        For so long at most, and a failure says nothing any more.
        """
        if self._monitor is not None:
            self._monitor.hurry(seconds)
        with suppress(Exception):
            while True:
                next(self._pieces or iter(()))

    def close(self) -> None:
        """Give the connection back, or up if the body was not read to its end."""
        if (stream := self._let_go()) is not None:
            self._pieces = None
            stream.close()


class AsyncBody(_Body, httpx.AsyncByteStream):
    """The same for async."""

    _pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._open()
        self._pieces = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        assert self._pieces is not None
        if self._over:
            raise StopAsyncIteration
        monitor = self._monitor
        if monitor is not None:
            monitor.resume()
        try:
            if self._inflater is None:
                piece = await anext(self._pieces)
            else:
                piece = await self._inflated()
            self._room -= len(piece)
            if self._room < 0:
                piece = self._cut(piece)
        except StopAsyncIteration:
            self._end()
            raise
        except UnfitBody as error:
            self._refuse(str(error))
        except HTTPCORE_ERRORS as error:
            if self._is_over():
                raise StopAsyncIteration from None
            self._broke(error)
        if monitor is not None:
            monitor.saw(piece)
            if monitor.kept is not None:
                return monitor.kept(piece)
        return piece

    async def _inflated(self) -> bytes:
        assert self._pieces is not None
        assert self._inflater is not None
        while not (piece := self._inflater.step()):
            self._inflater.put(await anext(self._pieces))
        return piece

    async def arest(self, seconds: float) -> None:
        """The same for async."""
        if self._monitor is not None:
            self._monitor.hurry(seconds)
        with suppress(Exception):
            while self._pieces is not None:
                await anext(self._pieces)

    async def aclose(self) -> None:
        """Give the connection back, or up if the body was not read to its end."""
        if (stream := self._let_go()) is not None:
            self._pieces = None
            await stream.aclose()


def _begin(pool: Origin, request: httpx.Request, tap: Tap | None) -> RequestMonitor | None:
    """Refuse a foreign host before anything else; then open the attempt's record, if any."""
    tap = tap or current_tap.get()
    host = request.url.raw_host.decode("ascii")
    if host not in pool.allowed_hosts:
        if tap is not None:
            tap.refused_host = host
        raise HostRefused(f"{host} is not one of this target's hosts")
    if tap is None:
        return None
    path = request.url.path
    streaming = asks_for_stream(request, path, tap.wire)
    several = streaming and asks_for_several(request)
    monitor = RequestMonitor(tap, path, streaming=streaming, several=several)
    monitor.check()
    return monitor


def _outgoing(request: httpx.Request, monitor: RequestMonitor | None) -> httpcore.Request:
    url = request.url
    extensions: dict[str, Any] = request.extensions
    if monitor is not None:
        extensions = {**extensions, "timeout": limits(extensions.get("timeout") or {}, monitor)}
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=extensions,
    )


def limits(own: Mapping[str, float | None], monitor: RequestMonitor) -> dict[str, float | None]:
    """Send the attempt's clocks along with the client's own limits."""
    connect, read, write = own.get("connect"), own.get("read"), own.get("write")
    reading = Allowance(read, monitor)
    return {
        "connect": reading if connect == read else Allowance(connect, monitor),
        "read": reading,
        "write": reading if write == read else Allowance(write, monitor),
    }


def _incoming(response: httpcore.Response, body: Body | AsyncBody) -> httpx.Response:
    headers: Headers = response.headers
    return httpx.Response(
        status_code=response.status,
        headers=inflated_headers(headers) if body.coded else headers,
        stream=body,
        extensions=response.extensions,
    )


def reraise(error: Exception, monitor: RequestMonitor | None) -> NoReturn:
    """Raise httpx's exception of the same name as httpcore's."""
    if isinstance(error, AddressMismatch) and monitor is not None:
        monitor.tap.address_mismatch = str(error)
    twin = HostRefused if isinstance(error, Refused) else getattr(httpx, type(error).__name__)
    raise twin(str(error)) from error
