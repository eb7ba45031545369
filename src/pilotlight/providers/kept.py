"""Connections that a cancelled task can't lose, as it can httpcore's own.

httpcore tidies up after a cancelled request by more awaiting, behind anyio's shield.
`task.cancel()` reaches through that: a second one, or one at the wrong step, leaves a
connection that is neither idle nor closed, and its pool keeps it, with its socket, for ever
(encode/httpcore#1093, still so in 1.0.9).  These are closed at once, without any waiting.

HTTP/1.1 only: a connection carries one request at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import httpcore


class KeptConnection(httpcore.AsyncConnectionInterface):
    """A connection of httpcore's that ends with its request, unless that ends well."""

    def __init__(self, inner: httpcore.AsyncConnectionInterface) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send one request; whatever is raised on the way, the connection is over."""
        try:
            response = await self._inner.handle_async_request(request)
        except httpcore.ConnectionNotAvailable:  # it serves another request
            raise
        except BaseException:
            self.drop()
            raise
        response.stream = _KeptBody(self, response.stream)
        return response

    async def aclose(self) -> None:
        """Close it; a pool that closes several must not be stopped between them."""
        self.drop()

    def drop(self) -> None:
        """Close it now.

        httpcore and anyio close a socket before their first wait, which is only
        politeness to the event loop.  So one step is taken, and no more.
        """
        closing = self._inner.aclose()
        with suppress(Exception):  # StopIteration too: nothing to wait for
            closing.send(None)
        closing.close()

    def info(self) -> str:
        return self._inner.info()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return self._inner.can_handle_request(origin)

    def is_available(self) -> bool:
        return self._inner.is_available()

    def has_expired(self) -> bool:
        return self._inner.has_expired()

    def is_idle(self) -> bool:
        return self._inner.is_idle()

    def is_closed(self) -> bool:
        return self._inner.is_closed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"


class _KeptBody:
    """A response's body; closed half-read, or half-way closed, it ends its connection."""

    def __init__(self, connection: KeptConnection, inner: Any) -> None:
        self._connection = connection
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return cast("AsyncIterator[bytes]", aiter(self._inner))

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            if not self._connection.is_idle():
                self._connection.drop()


class _Keeps:
    """Makes a pool open connections of this kind."""

    def create_connection(self, origin: httpcore.Origin) -> KeptConnection:
        return KeptConnection(super().create_connection(origin))  # type: ignore[misc]


class KeptPool(_Keeps, httpcore.AsyncConnectionPool):
    """Connections to servers."""


class KeptHTTPProxy(_Keeps, httpcore.AsyncHTTPProxy):
    """Connections through an HTTP proxy."""


class KeptSOCKSProxy(_Keeps, httpcore.AsyncSOCKSProxy):
    """Connections through a SOCKS proxy."""
