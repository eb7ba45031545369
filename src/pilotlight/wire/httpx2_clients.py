"""Clients of httpx2, with which newer SDKs are built, over the same pool and under the same tap.

A request is carried out by the transport of `wire.transport`; what comes back, and what goes wrong,
is handed on as httpx2 has it.  httpx2 is imported when such a client is first asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

import httpx

from pilotlight.wire.pool import HEADERS, TIMEOUT, Pool
from pilotlight.wire.tap import Tap
from pilotlight.wire.transport import AsyncWireTransport, WireTransport

NAME: Final = "httpx2"


class _Kinds(NamedTuple):
    """What is made of the module once: the clients, and the transports beneath."""

    client: Any
    aclient: Any
    transport: Any
    atransport: Any


def bound(pool: Pool, tap: Tap, transport: httpx.BaseTransport | None = None) -> Any:
    """Return an httpx2 client for one attempt; raises ImportError where httpx2 is not installed."""
    kinds = _kinds()
    beneath = transport or WireTransport(pool, tap)
    return kinds.client(transport=kinds.transport(beneath), **_options())


def abound(pool: Pool, tap: Tap, transport: httpx.AsyncBaseTransport | None = None) -> Any:
    """Do the same for async."""
    kinds = _kinds()
    beneath = transport or AsyncWireTransport(pool, tap)
    return kinds.aclient(transport=kinds.atransport(beneath), **_options())


def _options() -> dict[str, Any]:
    timeout = import_module(NAME).Timeout(**TIMEOUT.as_dict())
    return {"trust_env": False, "timeout": timeout, "headers": HEADERS}


def _asked(request: Any, body: Any) -> httpx.Request:
    return httpx.Request(
        request.method,
        str(request.url),
        headers=request.headers.raw,
        content=body,
        extensions=request.extensions,
    )


def _told(error: httpx.HTTPError, request: Any) -> Exception:
    """Return the error of the same name, or of its nearest kin."""
    module = import_module(NAME)
    name = next(kind.__name__ for kind in type(error).__mro__ if hasattr(module, kind.__name__))
    told: Exception = getattr(module, name)(str(error), request=request)
    return told


@cache
def _kinds() -> _Kinds:
    module: Any = import_module(NAME)

    class Body(module.SyncByteStream):  # type: ignore[misc]
        def __init__(self, response: httpx.Response, request: Any) -> None:
            self._response, self._request = response, request

        def __iter__(self) -> Iterator[bytes]:
            try:
                yield from cast("Iterable[bytes]", self._response.stream)
            except httpx.HTTPError as error:
                raise _told(error, self._request) from error

        def close(self) -> None:
            self._response.close()

    class AsyncBody(module.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, response: httpx.Response, request: Any) -> None:
            self._response, self._request = response, request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in cast("AsyncIterable[bytes]", self._response.stream):
                    yield piece
            except httpx.HTTPError as error:
                raise _told(error, self._request) from error

        async def aclose(self) -> None:
            await self._response.aclose()

    def answer(said: httpx.Response, stream: Any) -> Any:
        head = {"headers": said.headers.raw, "extensions": said.extensions}
        return module.Response(said.status_code, stream=stream, **head)

    class Transport(module.BaseTransport):  # type: ignore[misc]
        def __init__(self, beneath: httpx.BaseTransport) -> None:
            self._beneath = beneath

        def handle_request(self, request: Any) -> Any:
            try:
                said = self._beneath.handle_request(_asked(request, request.read()))
            except httpx.HTTPError as error:
                raise _told(error, request) from error
            return answer(said, Body(said, request))

    class AsyncTransport(module.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, beneath: httpx.AsyncBaseTransport) -> None:
            self._beneath = beneath

        async def handle_async_request(self, request: Any) -> Any:
            try:
                asked = _asked(request, await request.aread())
                said = await self._beneath.handle_async_request(asked)
            except httpx.HTTPError as error:
                raise _told(error, request) from error
            return answer(said, AsyncBody(said, request))

    return _Kinds(module.Client, module.AsyncClient, Transport, AsyncTransport)
