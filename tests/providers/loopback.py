"""A server on loopback that says whatever it is told to, byte by byte."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import takewhile
from typing import Any, Self

Say = Callable[[str, bytes], bytes]
"""What is sent, of the path and the body of a request."""


class Loopback:
    """Answers each request with `say`; keeps its connections open, and closes them at the end."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.asked: list[tuple[str, bytes]] = []
        self.heads: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError, ValueError), closing(peer.makefile("rb")) as lines:
            while head := b"".join(takewhile(b"\r\n".__ne__, iter(lines.readline, b""))):
                _, _, length = head.lower().partition(b"content-length:")
                body = lines.read(int(length.split(b"\r\n")[0] or 0))
                path = head.split(b" ")[1].decode()
                self.heads.append(head)
                self.asked.append((path, body))
                peer.sendall(self.say(path, body))


def reply(body: bytes, status: int = 200, kind: str = "application/json", more: str = "") -> bytes:
    """Return the bytes of a whole response."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}"
    return head.encode() + b"\r\n" + body


def said(data: Any, status: int = 200, more: str = "") -> bytes:
    """Return the bytes of a response in JSON."""
    return reply(json.dumps(data).encode(), status, more=more)
