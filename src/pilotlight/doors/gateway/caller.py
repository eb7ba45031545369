"""One caller on its connection: reads its body within bounds, notices that it left, sends to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from pilotlight.doors.gateway.refuse import Refuse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LINGER: Final = 2.0  # seconds for which what is left of a refused body is thrown away,
LINGER_BYTES: Final = 8_000_000  # and how much of it
MEGABYTE: Final = 1_000_000


class Left(Exception):
    """The caller has gone, or has taken nothing for too long: there is nobody to answer."""


class Bodies:
    """The bytes of all bodies that this process holds, up to a limit."""

    def __init__(self) -> None:
        self.held = 0

    def add(self, count: int, most: float) -> None:
        """Take note of more bytes; raises Refuse, without noting them, where that is too much."""
        if self.held + count > most:
            raise Refuse(
                503, "the gateway holds as many bodies as it may", retry_after=1, close=True
            )
        self.held += count


class Caller:
    """One request's connection; for one call, in the task that it was made in."""

    def __init__(self, receive: Receive, send: Send, bodies: Bodies) -> None:
        self._receive = receive
        self._send = send
        self._bodies = bodies
        self._held = 0
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._sending = 0.0  # since when a piece is being sent; 0: none is
        self._stall: asyncio.TimerHandle | None = None
        self.left = False
        self.status = 0  # what was answered; 0: nothing yet

    async def body(
        self, length: str | None, most: float, all_bodies: float, seconds: float
    ) -> bytes:
        """Read the whole body; raises Refuse for one that is too large or slow, or Left."""
        if length is not None and length.isdecimal() and int(length) > most:
            raise _too_large(most)
        pieces: list[bytes] = []
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Left
                    if piece := message.get("body", b""):
                        if self._held + len(piece) > most:
                            raise _too_large(most)
                        self._bodies.add(len(piece), all_bodies)
                        self._held += len(piece)
                        pieces.append(piece)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Refuse(
                408, f"the body has not come within {seconds:g} s; send it faster", close=True
            ) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def watch(self, patience: float) -> None:
        """From here on cancel the task when the caller leaves, or takes nothing for so long."""
        self._watcher = asyncio.ensure_future(self._wait_for_end())
        self._patience = patience

    async def _wait_for_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._go()

    def _go(self) -> None:
        if self._task is not None and not self.left:
            self.left = True
            self._task.cancel()

    def done(self) -> None:
        """Stop watching, and let go of the body."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self._stall is not None:
            self._stall.cancel()
        self._bodies.held -= self._held
        self._held = 0

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        head = _head(headers)
        head.append((b"content-length", b"%d" % len(body)))
        if self._watcher is not None:  # the end of the answer is no leaving
            self._watcher.cancel()
        await self._begin(status, head)
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer before the body was read, and throw away what comes of it for a short time.

        A connection that is closed with bytes unread is reset, and the answer may be lost.
        """
        head = [*_head(headers), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await self._begin(status, head)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                left = LINGER_BYTES
                while left > 0 and (message := await self._receive()).get("more_body", False):
                    left -= len(message.get("body", b""))
        await self._send({"type": "http.response.body", "body": b""})

    async def stream(
        self, status: int, headers: Mapping[str, str], pieces: AsyncIterable[bytes]
    ) -> None:
        """Send pieces as they come, each when the caller has taken those before."""
        loop = asyncio.get_running_loop()
        self._stall = loop.call_later(self._patience, self._look, loop)
        await self._begin(status, _head(headers))
        async for piece in pieces:
            self._sending = loop.time()
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sending = 0.0
        if self._watcher is not None:
            self._watcher.cancel()
        await self._send({"type": "http.response.body", "body": b""})

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give a caller up that has taken nothing of a piece for too long."""
        stuck = loop.time() - self._sending if self._sending else 0.0
        if stuck >= self._patience:
            self._go()
        else:
            self._stall = loop.call_later(self._patience - stuck, self._look, loop)

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


def _too_large(most: float) -> Refuse:
    told = f"the body has more than {most / MEGABYTE:g} MB; send less, or set serve.max_body_mb"
    return Refuse(413, told, close=True)


def _head(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as they are sent; a provider's with a control character are left out."""
    return [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
        if value.isprintable()
    ]


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return a request's headers; of one that stands there twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
