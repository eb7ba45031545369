"""The server that plays: reads a request, and hands it to whoever knows the answer."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pilotlight.core import background
from pilotlight.wire import played
from pilotlight.wire.pool import close_idle


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and the origin that it was meant for."""

    origin: str  # `https://api.openai.com:443`
    method: str
    path: str  # with its query
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; `pieces` are sent one by one."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


Player = Callable[[Asked], Reply]


@contextmanager
def playing(player: Player) -> Iterator[None]:
    """Lead every connection of a target to `player` inside the block."""

    class Handler(_Handler):
        play = staticmethod(player)
        word = secrets.token_hex(16)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    close_idle()  # what is kept leads to the real ones
    stage = played.Stage(server.server_port, Handler.word)
    played.stages.append(stage)
    background.holds.append(stage)
    try:
        yield
    finally:
        played.stages.remove(stage)
        background.holds.remove(stage)
        close_idle()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    play: Player
    word: str

    def handle(self) -> None:
        """Read the preamble, then the request; another process is not listened to."""
        word, *self._place = self.rfile.readline(1024).decode("latin-1").split() or [""]
        if word == self.word and len(self._place) == 3:
            super().handle()

    def _answer(self) -> None:
        scheme, host, port = self._place
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        told = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(f"{scheme}://{host}:{port}", self.command, self.path, told, body)
        reply = type(self).play(asked)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in reply.pieces:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = do_PUT = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Be silent."""
