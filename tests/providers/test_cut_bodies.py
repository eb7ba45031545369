"""An answer in one piece whose body breaks off under status 200: told so, with its status."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile

import pytest

from pilotlight import AllTargetsFailed, load

ASK = [{"role": "user", "content": "hi"}]
TARGETS = {
    "openai/m": "{}/v1",
    "anthropic/m": "{}",
    "gemini/m": "{}/v1beta",
    "cohere/m": "{}",
    "ollama/m": "{}",
}
FRAMES = {
    "length": lambda body: b"Content-Length: 5000\r\n\r\n" + body,
    "chunked": lambda body: b"Transfer-Encoding: chunked\r\n\r\n" + (
        b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    ),
}  # fmt: skip


@contextmanager
def cutting(frame: str, body: bytes) -> Iterator[str]:
    """A server that begins an answer and goes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, suppress(OSError), peer.makefile("rb") as lines:
                head = b"".join(takewhile(b"\r\n".__ne__, iter(lines.readline, b""))).lower()
                lines.read(int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0))
                said = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                peer.sendall(said + FRAMES[frame](body))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield "http://127.0.0.1:{}".format(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("body", [b"", b'{"message": {"role": "assis'])
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("model", TARGETS)
def test_a_body_that_is_cut_is_truncated_and_has_its_status(model, frame, body, colour):
    with cutting(frame, body) as base:
        given = {"model": model, "api_base": TARGETS[model].format(base)}
        given |= {"retry": {"max_retries": 0}}
        given |= {} if model == "ollama/m" else {"api_key": "k"}
        with load({"targets": {"t": given}, "routes": {"r": {"targets": ["t"]}}}) as app:
            route = app.route("r")
            with pytest.raises(AllTargetsFailed) as caught:
                route.complete(ASK) if colour == "sync" else asyncio.run(route.acomplete(ASK))
    told = caught.value.receipt.attempts[0]
    assert (told.fault, told.status) == ("stream_truncated", 200)
