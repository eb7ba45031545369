"""The gateway under uvicorn: connections that are bounded, and an end that loses no answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pilotlight.app import Pilotlight, load
from pilotlight.config.serve import ServeTable
from pilotlight.doors.gateway import metrics
from pilotlight.doors.gateway.gateway import Gateway
from pilotlight.errors import PilotlightError
from pilotlight.plain import logger

SWEEP: Final = 0.5  # seconds between two looks at all connections
HEAD: Final = 65_536  # bytes of a request's head
KEEP_ALIVE: Final = 75  # seconds that an unused connection is kept, longer than clients keep theirs
FLUSH: Final = 5.0  # seconds for the last bytes of a connection that is being closed
BACKLOG: Final = 2048  # connections that may wait to be accepted
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: 51\r\n\r\n"
    b'{"error":{"message":"too many connections, later"}}'
)
LONG_HEAD: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)

_log = logger("pilotlight.gateway")


class Connection(HttpToolsProtocol):
    """A connection that may not wait, or send a head, for ever; `serve` has the limits.

    uvicorn bounds neither the time nor the size of a request's head.
    """

    serve = ServeTable()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waits_since: float | None = None  # for the head of a request
        self._head = 0  # bytes of it
        self._closing_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; when there are too many, one that asks nothing makes room."""
        if len(self.connections) >= self.serve.max_connections and not self._make_room():
            transport.write(FULL)
            transport.close()
            self.transport = transport
            return
        super().connection_made(transport)
        self.waits_since = time.monotonic()

    def _make_room(self) -> bool:
        """Close the connection that has asked nothing for longest, if there is one."""
        idle = [each for each in self.connections if isinstance(each, Connection) and each.is_idle]
        if not idle:
            return False
        oldest = min(idle, key=lambda each: each.waits_since or 0.0)
        oldest.transport.abort()
        self.connections.discard(oldest)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Read on; a head without an end is refused."""
        if self.flow is None or self.transport.is_closing():
            return
        if self.is_idle:
            if self.waits_since is None:
                self.waits_since = time.monotonic()
            self._head += len(data)
        super().data_received(data)
        if not self.is_idle:
            self._head = 0
        elif self._head > HEAD and not self.transport.is_closing():
            self.transport.write(LONG_HEAD)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self.waits_since = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """End one; the next may be long in coming, which uvicorn's keep-alive bounds."""
        super().on_response_complete()
        self._head = 0

    def sweep(self, now: float) -> None:
        """Close what has waited too long."""
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > FLUSH:
                self.transport.abort()
        elif self.waits_since is not None and now - self.waits_since > self.serve.head_timeout:
            self.transport.close()


class Server(uvicorn.Server):
    """A server that goes on for running calls when it is told to stop, for a grace.

    `path` is the configuration to read anew at SIGHUP, None where there is no file; `listening`
    is called once it listens.  When `parent` can be read, the process that began this one is
    gone, and this one stops.
    """

    def __init__(
        self,
        gateway: Gateway,
        path: Path | None = None,
        *,
        tls: dict[str, Any] | None = None,
        shared: metrics.Shared | None = None,
        listening: Callable[[], None] = lambda: None,
        parent: int | None = None,
    ) -> None:
        Connection.serve = gateway.app.config.serve
        super().__init__(
            uvicorn.Config(
                gateway,
                http=Connection,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=1,
                backlog=1,  # how many are accepted at a time: the workers share what comes
                **(tls or {}),
            )
        )
        logger("uvicorn.error").setLevel(logging.CRITICAL)  # the gateway logs its own
        self._gateway = gateway
        self._path = path
        self._shared = shared
        self._listening = listening
        self._parent = parent
        self._ends = math.inf
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and to look after the connections."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(BACKLOG)
        loop = asyncio.get_running_loop()
        self._begin(self._sweep())
        if self._shared is not None:
            self._begin(self._share(self._shared))
        if hasattr(signal, "SIGHUP"):
            with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread
                loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))
        if self._parent is not None:
            loop.add_reader(self._parent, self._orphaned, self._parent)
        self._listening()

    def _orphaned(self, parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        if not self._gateway.draining:
            self.drain()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for each in list(self.server_state.connections):
                if isinstance(each, Connection):
                    each.sweep(now)

    async def _share(self, shared: metrics.Shared) -> None:
        while True:
            try:
                await asyncio.to_thread(shared.write)
            except Exception as error:  # a disk that is full is no reason to answer nobody
                _log.warning("the metrics can't be shared: %s", error)
            await asyncio.sleep(metrics.EVERY)

    async def _reload(self) -> None:
        """Read the configuration again; one that can't be used is told, and changes nothing."""
        if self._path is None:
            return
        try:
            new = await asyncio.to_thread(ready_app, self._path)
        except PilotlightError as error:
            _log.error("the configuration stays as it was: %s", error)
            return
        old = self._gateway.app
        self._gateway.use(new)
        Connection.serve = new.config.serve
        _log.info("the configuration was read anew from %s", self._path)
        await asyncio.to_thread(old.close)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: refuse new calls, let those that run end within the grace; again: stop at once."""
        if self._gateway.draining or self.should_exit:
            self.should_exit = self.force_exit = True
            return
        self.drain()

    def drain(self) -> None:
        """Begin to stop; for the thread of the loop."""
        self._gateway.draining = True
        grace = self._gateway.app.config.serve.grace
        _log.info("stopping: %d calls run, for %g s at most", self._gateway.in_flight, grace)
        self._ends = time.monotonic() + grace

    async def on_tick(self, counter: int) -> bool:
        """End when nothing runs any more, or the grace is over."""
        if self._gateway.draining and not self.should_exit:
            late = time.monotonic() >= self._ends
            if late:
                _log.warning("the grace is over: %d calls are cut", self._gateway.in_flight)
            self.should_exit = late or not self._gateway.in_flight
        return await super().on_tick(counter)


def ready_app(path: Path) -> Pilotlight:
    """Return a configuration with all loaded that its calls will need.

    An SDK takes seconds to import, and nobody is answered meanwhile; so it is done before.
    Raises ConfigError.
    """
    app = load(path)
    for target in app.targets.values():
        target.provider.prepare()
    return app


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, for all workers; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio sends small pieces at once (TCP_NODELAY) only of such.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound
