"""A TCP proxy in front of any endpoint: the transport faults, whatever protocol goes through.

Owns the bytes between a client and a real server: a gateway, an Ollama, a provider (https passes
as it is).  Faults are drawn for each *turn*: what a client sends until the other side answers, so
that a connection that is kept is struck as well.  `after` counts the bytes of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType

from .background import Background, stop_accepting
from .book import Drawn, FaultBook
from .door import BACKLOG, bind
from .faults import TCP, Fault, FaultError, Transport, make_fault
from .http import Json, Traffic, paced, reset

CHUNK = 65536


class _Struck(Exception):
    """A fault strikes: neither direction goes on."""


@dataclass(slots=True)
class _Link:
    """One client's connection, and the one to the upstream that belongs to it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    up_reader: asyncio.StreamReader
    up_writer: asyncio.StreamWriter
    draw: Callable[[], Drawn]
    traffic: Traffic
    upstream: Traffic
    turn: Drawn = field(default_factory=Drawn)
    left: int | None = None  # bytes of the answer before the fault of this turn strikes
    answered: bool = True  # the next bytes of the client begin a turn

    async def run(self) -> None:
        struck = False
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._up())
                both.create_task(self._down())
        except* _Struck:
            struck = True
        except* OSError:
            pass  # one side has left
        if struck:
            await self._strike()

    async def _up(self) -> None:
        while data := await self.reader.read(CHUNK):
            self.traffic.received += len(data)
            if self.answered:
                self._begin_turn()
            if self.turn.final and self.left is None:
                raise _Struck  # nothing is passed on
            self.upstream.sent += len(data)
            self.up_writer.write(data)
            await self.up_writer.drain()
        self.up_writer.write_eof()

    def _begin_turn(self) -> None:
        self.turn, self.answered = self.draw(), False
        fault = self.turn.final
        self.left = fault.spared if isinstance(fault, Transport) else None

    async def _down(self) -> None:
        while data := await self.up_reader.read(CHUNK):
            self.upstream.received += len(data)
            pace = self.turn.pace
            await asyncio.sleep(pace.token if self.answered else pace.before + pace.token)
            self.answered = True
            passed = data[: self.left]
            async for portion in paced(passed, pace.bandwidth):
                self.traffic.sent += len(portion)
                self.writer.write(portion)
                await self.writer.drain()
            if self.left is not None:
                self.left -= len(passed)
                if self.left == 0:
                    raise _Struck
        self.writer.write_eof()

    async def _strike(self) -> None:
        """Do it; a fault that does nothing more does so for as long as the client stays."""
        fault = self.turn.final
        assert isinstance(fault, Transport)
        act = asyncio.ensure_future(fault.strike(self))
        leaving = asyncio.ensure_future(self._swallow())
        try:
            await asyncio.wait({act, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            act.cancel()
            leaving.cancel()
            await asyncio.gather(act, leaving, return_exceptions=True)

    async def _swallow(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(CHUNK):
                self.traffic.received += len(data)

    def cut(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        reset(self.writer)


class TcpProxy:
    """A proxy on loopback before `upstream_host:upstream_port`, which breaks what is asked of it.

    The kinds of faults are those of the server that need no protocol: `slow`, `drip`, `hang`,
    `stall`, `cut` and `reset`.  Each also takes `rate`, `seed`, `skip`, `times` and `schedule`.
    """

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        *,
        port: int = 0,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upstream_host = upstream_host
        self.upstream_port = upstream_port
        self._book = FaultBook(seed, clock)
        self._wanted_port = port
        self._port: int | None = None
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._traffic, self._upstream = Traffic(), Traffic()
        self._background = Background("pilotlight-chaos-proxy", self._opened)

    def start(self) -> TcpProxy:
        """Start; a port that is taken raises OSError here."""
        if self._background.running:
            raise RuntimeError("the proxy is already running")
        self._bound = bind(self._wanted_port)
        self._port = self._bound.getsockname()[1]
        self._background.start()
        return self

    def close(self) -> None:
        """Stop, and let go of every connection; may be called twice."""
        self._background.close()

    def __enter__(self) -> TcpProxy:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        try:
            await self._listen()
            yield
        finally:
            await self._shut()
            self._bound.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._admit, sock=self._bound, backlog=BACKLOG
            )

    async def _shut(self) -> None:
        """Close the port, keep its number, and reset what is open."""
        if (server := self._server) is not None:
            await stop_accepting(server)
            if self._server is server:  # another may have been faster
                self._server = None
                self._bound = bind(self.port)
        links = dict(self._links)
        for task, writers in links.items():
            for writer in writers:
                reset(writer)
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next round

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted before the port was closed, heard of after
            reset(writer)
            return
        writers = [writer]
        task = asyncio.get_running_loop().create_task(self._visit(reader, writers))
        self._links[task] = writers  # before it runs, so that closing finds it
        task.add_done_callback(lambda done: self._links.pop(done, None))

    async def _visit(
        self, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter]
    ) -> None:
        self._traffic.connections += 1
        self._traffic.open += 1
        try:
            await self._serve(reader, writers)
        except asyncio.CancelledError:
            pass  # the proxy closes, or refuses from now on
        except OSError:
            reset(writers[0])  # the upstream cannot be reached: nor can we
        finally:
            self._traffic.open -= 1
            await _closed(writers)

    async def _serve(
        self, reader: asyncio.StreamReader, writers: list[asyncio.StreamWriter]
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection(self.upstream_host, self.upstream_port)
        writers.append(up_writer)
        self._upstream.connections += 1
        self._upstream.open += 1
        draw = lambda: self._book.draw(TCP, TCP, of_model=True)  # noqa: E731
        link = _Link(reader, writers[0], up_reader, up_writer, draw, self._traffic, self._upstream)
        try:
            await link.run()
        finally:
            self._upstream.open -= 1

    # Addresses, faults, counts.

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError("the proxy has not been started")
        return self._port

    @property
    def url(self) -> str:
        """Where the upstream is found, broken."""
        return f"http://127.0.0.1:{self.port}"

    def fault(self, kind: str | Fault, *, add: bool = False, **params: object) -> Fault:
        """Set a fault, in place of those that are set or, with `add`, besides them.

        Raises:
            FaultError: No such fault or parameter, or not one that a proxy can have.
        """
        if isinstance(kind, Fault) and params:
            raise FaultError("parameters go into the Fault, or beside the name of its kind")
        fault = kind if isinstance(kind, Fault) else make_fault(kind, params)
        self._book.arm(TCP, fault, add=add)
        return fault

    def heal(self) -> None:
        """Remove all faults.  What hangs already goes on hanging."""
        self._book.heal()

    def refuse(self) -> None:
        """Refuse connections from now on, and reset the open ones."""
        self._background.call(self._shut())

    def accept_again(self) -> None:
        """Accept connections again, on the same port."""
        self._background.call(self._listen())

    @property
    def traffic(self) -> Traffic:
        """Connections and bytes on the clients' side, as they are now."""
        return dataclasses.replace(self._traffic)

    @property
    def upstream(self) -> Traffic:
        """Connections and bytes on the upstream's side: `sent` went to it, `received` came."""
        return dataclasses.replace(self._upstream)

    def as_json(self) -> Json:
        """Tell the faults and the counts."""
        return {
            "upstream": f"{self.upstream_host}:{self.upstream_port}",
            "faults": self._book.as_json().get(TCP, []),
            "clients": dataclasses.asdict(self._traffic),
            "upstream_traffic": dataclasses.asdict(self._upstream),
        }


async def _closed(writers: list[asyncio.StreamWriter]) -> None:
    """Close, and wait until what was written has left."""
    for writer in writers:
        writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()
