"""The transports of a guarded client's HTTP client, for both colours of both httpx families.

A call of a model goes by its route; every other request goes over the client's own transport, as
it would have gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

from pilotlight.core.provider import Home
from pilotlight.doors.exchange import AsyncReply, BrokenStream, CallerRequest, Reply, aask, ask
from pilotlight.doors.guard.home import Patience
from pilotlight.doors.guard.requests import ModelCall, model_call
from pilotlight.doors.guard.rules import Rules
from pilotlight.plain import logger
from pilotlight.routes.route import Route

_log = logger("pilotlight")
# What every connection says for itself.
_OF_THE_WIRE: Final = frozenset(
    {"host", "connection", "accept-encoding", "content-length", "transfer-encoding", "keep-alive"}
)


class Transports(NamedTuple):
    """The two transports of one family."""

    sync: Any
    asynchronous: Any


@cache
def transports(family: str) -> Transports:
    """Return the transports of `httpx` or `httpx2`."""
    module: Any = import_module(family)

    class Pieces(module.SyncByteStream):  # type: ignore[misc]
        """The bytes of a streamed reply."""

        def __init__(self, reply: Reply) -> None:
            self._reply = reply

        def __iter__(self) -> Iterator[bytes]:
            try:
                yield from self._reply
            except BrokenStream as broken:
                raise module.RemoteProtocolError(str(broken)) from broken

        def close(self) -> None:
            self._reply.close()

    class AsyncPieces(module.AsyncByteStream):  # type: ignore[misc]
        """The same for async."""

        def __init__(self, reply: AsyncReply) -> None:
            self._reply = reply

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._reply:
                    yield piece
            except BrokenStream as broken:
                raise module.RemoteProtocolError(str(broken)) from broken

        async def aclose(self) -> None:
            await self._reply.aclose()

    class Transport(module.BaseTransport):  # type: ignore[misc]
        """Answers by the route, or sends as the client would have sent."""

        def __init__(self, rules: Rules, inner: Any) -> None:
            self._rules = rules
            self._inner = inner  # the client's own HTTP client

        def handle_request(self, request: Any) -> Any:
            """Answer one request."""
            body = request.read() if self._rules.may_ask(request) else b""
            if (asked := _asked(self._rules, request, body)) is not None:
                reply = ask(*asked)
            elif (refused := self._rules.refusal(request, body)) is not None:
                reply = refused
            else:
                return self._inner._transport_for_url(request.url).handle_request(request)
            if not reply.streamed:
                return _response(module, reply, content=reply.body)
            return _response(module, reply, stream=Pieces(reply))

    class AsyncTransport(module.AsyncBaseTransport):  # type: ignore[misc]
        """The same for async."""

        def __init__(self, rules: Rules, inner: Any) -> None:
            self._rules = rules
            self._inner = inner

        async def handle_async_request(self, request: Any) -> Any:
            """Answer one request."""
            body = await request.aread() if self._rules.may_ask(request) else b""
            reply: Any
            if (asked := _asked(self._rules, request, body)) is not None:
                reply = await aask(*asked)
            elif (refused := await self._rules.arefusal(request, body)) is not None:
                reply = refused
            else:
                transport = self._inner._transport_for_url(request.url)
                return await transport.handle_async_request(request)
            if not reply.streamed:
                return _response(module, reply, content=reply.body)
            return _response(module, reply, stream=AsyncPieces(reply))

    return Transports(Transport, AsyncTransport)


def _response(module: Any, reply: Reply | AsyncReply, **body: Any) -> Any:
    return module.Response(reply.status, headers=reply.headers, **body)


def _asked(rules: Rules, request: Any, body: bytes) -> tuple[Route, CallerRequest] | None:
    """Return the route and the call of a request that asks a model."""
    call = model_call(request.url.path, rules.dialects, body) if body else None
    if call is None:
        return None
    limits = request.extensions.get("timeout") or {}
    patience = Patience(limits.get("connect"), limits.get("read"))
    try:
        route = rules.protection.route(call.model, call.stream, patience)
    except ValueError as error:  # a model or an address that no target can have
        _log.warning("guard() can't protect a call: %s; it goes by the SDK alone", error)
        return None
    return route, _caller_request(rules, route, call, request)


def _caller_request(rules: Rules, route: Route, call: ModelCall, request: Any) -> CallerRequest:
    headers = {
        name: value.decode("latin-1")
        for raw, value in request.headers.raw
        if (name := raw.decode("latin-1").lower()) not in _OF_THE_WIRE
    }
    return CallerRequest(
        call.dialect,
        call.body,
        headers,
        model=call.model,
        stream=call.stream,
        private=rules.private,
        total_timeout=rules.total_timeout,
        home=Home(route.targets[0], str(request.url), headers),
        said=call.said,
    )
