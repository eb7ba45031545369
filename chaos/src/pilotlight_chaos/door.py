"""The listening socket and the connections behind it.

Owns opening, closing and refusing.  A client that hangs up cancels the work on its request.
While refusing, the port stays bound but nobody listens: the system then answers with RST, and
no other process can take the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any, Protocol

from .background import stop_accepting
from .http import BadHttp, Reply, Request, Traffic, Wire

BACKLOG = 512


def bind(port: int) -> socket.socket:
    """Return a socket bound on loopback; port 0 picks a free one."""
    # Naming the protocol matters: asyncio sets TCP_NODELAY only where it is named, and without it
    # each answer waits 40 ms for a delayed ACK.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


class Serves(Protocol):
    """Who answers the requests that come in by a door."""

    async def serve(self, request: Request, wire: Wire) -> None:
        """Answer one request, in whatever way it is to be answered."""


class _Protocol(asyncio.StreamReaderProtocol):
    """Streams, and news of the client's going even while nobody reads."""

    def __init__(self, door: Door) -> None:
        self.gone = asyncio.Event()
        self._traffic = door.traffic
        reader = asyncio.StreamReader()
        super().__init__(reader, lambda r, w: door.admit(Wire(r, w, self.gone, door.traffic)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._traffic.connections += 1
        self._traffic.open += 1
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._traffic.received += len(data)
        super().data_received(data)

    def eof_received(self) -> bool | None:
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self._traffic.open -= 1
        super().connection_lost(exc)


class Door:
    """Accepts connections, or refuses them.  Lives in the server's event loop."""

    def __init__(
        self, service: Serves, sock: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        self._service = service
        self._tls = tls
        self.traffic = Traffic()
        self.port: int = sock.getsockname()[1]
        self._bound: socket.socket | None = sock  # bound, not listening
        self._server: asyncio.Server | None = None
        self._visits: dict[asyncio.Task[None], Wire] = {}
        self._reopening: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Listen (again); do nothing when already open."""
        if self._reopening:
            self._reopening.cancel()
        if self._server is None:
            loop = asyncio.get_running_loop()
            sock = self._bound or bind(self.port)
            self._bound = None
            protocol = lambda: _Protocol(self)  # noqa: E731
            self._server = await loop.create_server(
                protocol, sock=sock, backlog=BACKLOG, ssl=self._tls
            )

    async def refuse(self) -> None:
        """Refuse connections and reset the open ones, as when a process has died."""
        if await self._unlisten():
            self._bound = bind(self.port)
        await self._break_off(asyncio.current_task())

    def refuse_for(self, seconds: float) -> None:
        """Refuse for a time, beginning as soon as the running request is answered."""
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, self._spawn, self.refuse())
        self._reopening = loop.call_later(0.01 + seconds, lambda: self._spawn(self.open()))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        _running.add(task)
        task.add_done_callback(_running.discard)

    async def close(self) -> None:
        if self._reopening:
            self._reopening.cancel()
        await self._unlisten()
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        await self._break_off(None)

    async def _unlisten(self) -> bool:
        """Let go of the listening socket; return whether there was one."""
        if (server := self._server) is None:
            return False
        await stop_accepting(server)
        listened, self._server = self._server is server, None  # another may have been faster
        return listened

    async def _break_off(self, spared: asyncio.Task[Any] | None) -> None:
        visits = {task: wire for task, wire in self._visits.items() if task is not spared}
        for task, wire in visits.items():
            wire.reset()
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next round

    def admit(self, wire: Wire) -> None:
        if self._server is None:  # accepted before the door was closed, heard of after
            wire.reset()
            return
        task = asyncio.get_running_loop().create_task(self._visit(wire))
        self._visits[task] = wire
        task.add_done_callback(lambda done: self._visits.pop(done, None))

    async def _visit(self, wire: Wire) -> None:
        """Answer the requests of one connection until one side ends it."""
        try:
            while not wire.broken and (request := await wire.read()):
                if not await self._answer(request, wire):
                    break
        except BadHttp as error:
            with contextlib.suppress(ConnectionError):
                await wire.send(Reply(f"400 Bad Request: {error}", 400))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the server closes
        finally:
            wire.close()

    async def _answer(self, request: Request, wire: Wire) -> bool:
        """Serve a request; return False when the client left before the end."""
        work = asyncio.ensure_future(self._service.serve(request, wire))
        leaving = asyncio.ensure_future(wire.gone.wait())
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            return False
        finally:
            leaving.cancel()
            work.cancel()
            await asyncio.gather(work, leaving, return_exceptions=True)


_running: set[asyncio.Future[Any]] = set()  # the loop itself keeps only weak references
