"""The connections of one pool, kept between requests.

httpcore makes the connections and speaks through them; which one is used next is decided
here.  httpcore's own pool looks through all its connections and all its waiting requests at
each step (with 200 calls in flight that costs more than the calls), and loses connections of
cancelled tasks (encode/httpcore#1093, still so in 1.0.9).  Calls wait at the bulkhead, and
never here, so a stack will do: the connection used last is used next, and the oldest are
let go.

A connection carries one request at a time (HTTP/1.1), and ends with it unless that ends well.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

import httpcore

KEPT: Final = 256  # idle connections, to each origin
Origin = tuple[bytes, bytes, int | None]


class Maker(Protocol):
    """httpcore's pool, of which only this is used: it knows the way, a proxy's too."""

    def create_connection(self, origin: httpcore.Origin) -> Any: ...


class _Stacks:
    """What the two colours share: who is idle and who is busy."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._idle: dict[Origin, deque[Any]] = {}
        self._ended = False
        # Re-entrant: the garbage collector may close an abandoned stream while it is held.
        self._lock = threading.RLock()
        self.busy: set[Any] = set()

    @property
    def connections(self) -> list[Any]:
        """Every connection; without the lock, which a forked child's lost thread may hold."""
        return [*self.busy, *(each for stack in self._idle.values() for each in stack)]

    def _take(self, request: httpcore.Request) -> tuple[Any, list[Any]]:
        """Return a connection to use, and those that were found to be over."""
        url = request.url
        over = []
        with self._lock:
            stack = self._idle.get((url.scheme, url.host, url.port))
            connection = stack.pop() if stack else None
            while connection is not None and connection.has_expired():
                over.append(connection)
                connection = stack.pop() if stack else None
            if connection is None:
                connection = self._maker.create_connection(url.origin)
            self.busy.add(connection)
        return connection, over

    def _give(self, request: httpcore.Request, connection: Any) -> list[Any]:
        """Take a connection back, if it can be used again; return those to close."""
        url = request.url
        with self._lock:
            self.busy.discard(connection)
            if self._ended or not connection.is_idle():
                return [connection]
            stack = self._idle.setdefault((url.scheme, url.host, url.port), deque())
            stack.append(connection)
            over = []
            while len(stack) > KEPT or (len(stack) > 1 and stack[0].has_expired()):
                over.append(stack.popleft())
            return over

    def _lose(self, connection: Any) -> list[Any]:
        """Forget a connection whose request was not answered; return it, to be closed."""
        with self._lock:
            self.busy.discard(connection)
            return [connection]

    def _end(self) -> list[Any]:
        """Keep nothing from here on; return the idle connections."""
        with self._lock:
            self._ended = True
            found = [each for stack in self._idle.values() for each in stack]
            self._idle.clear()
            return found


class Connections(_Stacks):
    """The connections that threads share."""

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send one request; whatever is raised on the way, its connection is over."""
        connection, over = self._take(request)
        try:
            _close(over)
            response: httpcore.Response = connection.handle_request(request)
        except BaseException:
            _close(self._lose(connection))
            raise
        response.stream = _Body(self, request, connection, response.stream)
        return response

    def over(self, request: httpcore.Request, connection: Any) -> None:
        """Take a connection back, or close it where its request has not ended well."""
        _close(self._give(request, connection))

    def close(self) -> None:
        """Close the idle connections; those in use end with their requests."""
        _close(self._end())


class AsyncConnections(_Stacks):
    """The connections of one event loop."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send one request; whatever is raised on the way, its connection is over."""
        connection, over = self._take(request)
        try:
            _drop(over)
            response: httpcore.Response = await connection.handle_async_request(request)
        except BaseException:
            _drop(self._lose(connection))
            raise
        response.stream = _AsyncBody(self, request, connection, response.stream)
        return response

    def over(self, request: httpcore.Request, connection: Any) -> None:
        """Take a connection back, or close it where its request has not ended well."""
        _drop(self._give(request, connection))

    def retire(self) -> None:
        """Close the idle connections; those in use end with their requests."""
        _drop(self._end())

    async def aclose(self) -> None:
        """Close every connection: the event loop is about to end."""
        _drop([*self._end(), *self.busy])


class _Body:
    """A response's body; when it is closed, its connection is idle or over."""

    def __init__(
        self, pool: Connections, request: httpcore.Request, connection: Any, inner: Any
    ) -> None:
        self._pool: Connections | None = pool
        self._request = request
        self._connection = connection
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                self._inner.close()
            finally:
                pool.over(self._request, self._connection)


class _AsyncBody:
    """The same for async; a cancelled `aclose` ends the connection."""

    def __init__(
        self, pool: AsyncConnections, request: httpcore.Request, connection: Any, inner: Any
    ) -> None:
        self._pool: AsyncConnections | None = pool
        self._request = request
        self._connection = connection
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._inner)

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await self._inner.aclose()
            finally:
                pool.over(self._request, self._connection)


def _close(connections: list[Any]) -> None:
    for connection in connections:
        with suppress(Exception):
            connection.close()


def _drop(connections: list[Any]) -> None:
    """Close them now, without waiting.

    httpcore and anyio close a socket before their first wait, which is only politeness to
    the event loop.  So one step is taken, and no more: what waits can be cancelled.
    """
    for connection in connections:
        closing = connection.aclose()
        with suppress(Exception):  # StopIteration too: nothing to wait for
            closing.send(None)
        closing.close()
