"""The wire over real loopback sockets: what the tap sees, which clock ends what, who is refused.

Long, because each clock and each end is tried in the four shapes over real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import httpx
import pytest

from pilotlight.core.provider import Timeouts
from pilotlight.wire.network import AsyncBackend, Backend, Refused
from pilotlight.wire.pool import HostRefused, Pool
from pilotlight.wire.tap import Tap, Wire, current_tap

Script = Callable[["Peer"], None]

LONG = 30.0  # a clock that must not be the one that ends a test


class Peer:
    """One connection at the server: a script talks, `gone` is set when the client hung up."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = b""

    def read(self) -> bool:
        """Read one request; False when the client has gone."""
        self.request = b""
        while b"\r\n\r\n" not in self.request:
            if not (data := self.sock.recv(65536)):
                return False
            self.request += data
        head, body = self.request.split(b"\r\n\r\n", 1)
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        size = int(sizes[0].split(b":")[1]) if sizes else 0
        while len(body) < size:
            body += self.sock.recv(65536)
        return True

    def head(
        self, *, status: str = "200 OK", kind: str = "application/json", more: str = ""
    ) -> None:
        self.send(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nX-Id: a\r\n{more}\r\n".encode())

    def plain(self, body: bytes, **head: Any) -> None:
        more = head.pop("more", "")
        self.head(more=f"{more}Content-Length: {len(body)}\r\n", **head)
        self.send(body)

    def stream(self, kind: str = "text/event-stream") -> None:
        self.head(kind=kind, more="Transfer-Encoding: chunked\r\n")

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Cut the connection hard."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def wait(self) -> None:
        """Say nothing until the client hangs up."""
        with contextlib.suppress(OSError):
            self.sock.recv(1)


class Server:
    """Answers each request by the script; counts connections."""

    def __init__(self) -> None:
        self.script: Script = lambda peer: peer.plain(b"{}")
        self.connections = 0
        self.requests: list[bytes] = []
        self._peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._run(self._accept)

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._peers.append(sock)
            self._run(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        with contextlib.suppress(OSError), sock:
            while peer.read():
                self.requests.append(peer.request)
                self.script(peer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._peers:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def pool(server: Server) -> Iterator[Pool]:
    pool = Pool(server.url, wire="openai")
    yield pool
    pool.close()


def tap_of(wire: Wire = "openai", **clocks: float | None) -> Tap:
    limits: dict[str, float | None] = {
        "connect": LONG,
        "first_token": LONG,
        "between_tokens": LONG,
        "total": LONG,
    }
    return Tap(wire, Timeouts(**(limits | clocks)))


def content(text: str) -> bytes:
    return (
        b'data: {"choices":[{"delta":{"content":"%s"},"finish_reason":null}]}\n\n' % text.encode()
    )


FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
ANSWER = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).encode()
COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])


def send(
    pool: Pool, tap: Tap, colour: str = "sync", *, stream: bool = False, url: str = "/v1/x"
) -> list[bytes]:
    """One request in one of the four shapes; returns the pieces of the body."""
    address = str(pool.origin.join(url))
    body = {"stream": stream}
    if colour == "sync":
        with pool.bound(tap) as client, client.stream("POST", address, json=body) as answer:
            return list(answer.iter_raw())

    async def run() -> list[bytes]:
        async with (
            pool.abound(tap) as client,
            client.stream("POST", address, json=body) as answer,
        ):
            return [piece async for piece in answer.aiter_raw()]

    return asyncio.run(run())


@COLOURS
def test_a_plain_answer(server: Server, pool: Pool, colour: str) -> None:
    """Status, headers, head, size and the two ends are noted."""
    server.script = lambda peer: peer.plain(ANSWER, more="X-Two: 1\r\nX-TWO: 2\r\n")
    tap = tap_of()
    assert b"".join(send(pool, tap, colour)) == ANSWER
    assert (tap.requests, tap.status, tap.received) == (1, 200, len(ANSWER))
    assert tap.headers["x-two"] == "1, 2"
    assert tap.head == ANSWER
    assert tap.complete
    assert tap.terminal
    assert not tap.streaming
    assert tap.contents == 0
    assert tap.first_byte_at is not None
    assert tap.first_byte_at >= tap.started
    assert tap.expired is None


@COLOURS
def test_a_stream(server: Server, pool: Pool, colour: str) -> None:
    """Content events are counted, keep-alives are not."""

    def script(peer: Peer) -> None:
        peer.stream()
        for piece in (b": hello\n\n", content("a"), b": still here\n\n", content("b"), FINISH):
            peer.chunk(piece)
        peer.chunk(b"")

    server.script = script
    tap = tap_of()
    body = b"".join(send(pool, tap, colour, stream=True))
    assert body.endswith(FINISH)
    assert tap.streaming
    assert (tap.contents, tap.terminal, tap.complete) == (2, True, True)
    assert tap.last_content_at is not None
    assert tap.received == len(body)


@COLOURS
def test_the_head_is_bounded(server: Server, pool: Pool, colour: str) -> None:
    """An answer of megabytes leaves kilobytes in the record."""
    server.script = lambda peer: peer.plain(b"x" * 1_000_000)
    tap = tap_of()
    send(pool, tap, colour)
    assert tap.head == b"x" * 16384
    assert tap.received == 1_000_000


@COLOURS
def test_a_stream_without_its_last_word(server: Server, pool: Pool, colour: str) -> None:
    """HTTP ends well, the answer does not."""

    def script(peer: Peer) -> None:
        peer.stream()
        peer.chunk(content("half"))
        peer.chunk(b"")

    server.script = script
    tap = tap_of()
    send(pool, tap, colour, stream=True)
    assert (tap.complete, tap.terminal, tap.contents) == (True, False, 1)


@COLOURS
@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_broken_body_is_not_complete(server: Server, pool: Pool, colour: str, end: str) -> None:
    """A cut is an httpx error and leaves `complete` unset."""

    def script(peer: Peer) -> None:
        peer.stream()
        peer.chunk(content("half"))
        peer.reset() if end == "reset" else peer.sock.shutdown(socket.SHUT_RDWR)

    server.script = script
    tap = tap_of()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)) as caught:
        send(pool, tap, colour, stream=True)
    assert isinstance(caught.value.__cause__, (httpcore.ReadError, httpcore.RemoteProtocolError))
    assert (tap.complete, tap.expired) == (False, None)


@COLOURS
def test_an_error_in_the_stream_is_kept(server: Server, pool: Pool, colour: str) -> None:
    """Under HTTP 200."""

    def script(peer: Peer) -> None:
        peer.stream()
        peer.chunk(content("a") + b'data: {"error": {"message": "boom"}}\n\n')
        peer.chunk(b"")

    server.script = script
    tap = tap_of()
    send(pool, tap, colour, stream=True)
    assert b"boom" in tap.in_band_error


@COLOURS
def test_an_error_status_is_no_stream(server: Server, pool: Pool, colour: str) -> None:
    """A refusal of a streaming request is a plain body."""
    server.script = lambda peer: peer.plain(b'{"error":{}}', status="429 Slow down")
    tap = tap_of()
    send(pool, tap, colour, stream=True)
    assert (tap.status, tap.streaming, tap.head) == (429, False, b'{"error":{}}')


def test_a_second_request_starts_afresh(server: Server, pool: Pool) -> None:
    """A hidden retry shows in the count; the record is the last response's."""
    server.script = lambda peer: peer.plain(b"{}", status="500 Oh")
    tap = tap_of()
    send(pool, tap)
    server.script = lambda peer: peer.plain(ANSWER)
    send(pool, tap)
    assert (tap.requests, tap.status, tap.head) == (2, 200, ANSWER)
    assert server.connections == 1


@COLOURS
def test_compressed_against_our_wish(server: Server, pool: Pool, colour: str) -> None:
    """The record is readable all the same."""
    server.script = lambda peer: peer.plain(
        gzip.compress(ANSWER), more="Content-Encoding: gzip\r\n"
    )
    tap = tap_of()
    send(pool, tap, colour)
    assert b"accept-encoding: identity" in server.requests[0].lower()
    assert (tap.head, tap.terminal) == (ANSWER, True)


# The clocks.


def keep_alive(peer: Peer) -> None:
    """Send content once, comments for ever."""
    peer.stream()
    peer.chunk(content("a"))
    comments(peer)


def comments(peer: Peer) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer.chunk(b": keep-alive\n\n")
            threading.Event().wait(0.005)


def only_comments(peer: Peer) -> None:
    peer.stream()
    comments(peer)


def trickled_head(peer: Peer) -> None:
    with contextlib.suppress(OSError):
        peer.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            peer.send(b"a")
            threading.Event().wait(0.005)


def trickled_body(peer: Peer) -> None:
    peer.head(more="Content-Length: 1000000\r\n")
    with contextlib.suppress(OSError):
        while True:
            peer.send(b"a")
            threading.Event().wait(0.005)


def flowing(peer: Peer) -> None:
    """Send content without end."""
    peer.stream()
    with contextlib.suppress(OSError):
        while True:
            peer.chunk(content("a"))
            threading.Event().wait(0.005)


@COLOURS
@pytest.mark.parametrize(
    ("script", "stream", "clock"),
    [
        (keep_alive, True, "between_tokens"),
        (only_comments, True, "first_token"),
        (trickled_head, True, "first_token"),
        (Peer.wait, True, "first_token"),
        (Peer.wait, False, "total"),
        (trickled_head, False, "total"),
        (trickled_body, False, "total"),
        (flowing, True, "total"),
        (keep_alive, True, "total"),
    ],
)
def test_each_clock_ends_what_it_should(
    server: Server, pool: Pool, colour: str, script: Script, stream: bool, clock: str
) -> None:
    """No keep-alive and no trickle can hold an attempt beyond its clock."""
    server.script = script
    tap = tap_of("openai", **{clock: 0.15})
    with pytest.raises(httpx.ReadTimeout):
        send(pool, tap, colour, stream=stream)
    assert tap.expired == clock
    assert not tap.complete
    assert 0.1 < tap.clock() - tap.started < 2


@COLOURS
def test_the_first_token_clock_spares_plain_answers(
    server: Server, pool: Pool, colour: str
) -> None:
    """A plain answer comes all at once: only `total` applies."""

    def script(peer: Peer) -> None:
        threading.Event().wait(0.1)
        peer.plain(ANSWER)

    server.script = script
    tap = tap_of(first_token=0.02, between_tokens=0.02)
    send(pool, tap, colour)
    assert tap.complete


def test_a_slow_consumer_is_not_a_silent_server(server: Server, pool: Pool) -> None:
    """What the reader does between two pieces is not counted against the server."""
    go_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.stream()
        peer.chunk(content("a"))
        go_on.wait(5)
        peer.chunk(content("b") + FINISH)
        peer.chunk(b"")

    server.script = script
    now = [0.0]
    tap = Tap("openai", Timeouts(total=1000, between_tokens=5), clock=lambda: now[0])
    with pool.bound(tap).stream("POST", f"{server.url}/x", json={"stream": True}) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        now[0] += 100
        go_on.set()
        assert b"".join(pieces).endswith(FINISH)
    assert (tap.contents, tap.expired, tap.last_content_at) == (2, None, 100)


@COLOURS
def test_an_attempt_that_is_over_sends_nothing(server: Server, pool: Pool, colour: str) -> None:
    """A hidden retry after the end is stopped before it reaches a socket."""
    tap = tap_of(total=0.0)
    with pytest.raises(httpx.ReadTimeout):
        send(pool, tap, colour)
    assert tap.expired == "total"
    assert server.connections == 0


@COLOURS
def test_the_clients_own_limit_is_not_ours(server: Server, pool: Pool, colour: str) -> None:
    """httpx's read timeout still works, and is not blamed on a clock."""
    server.script = Peer.wait
    tap = tap_of()
    with pytest.raises(httpx.ReadTimeout):
        if colour == "sync":
            pool.bound(tap).get(server.url, timeout=0.05)
        else:
            asyncio.run(_get(pool.abound(tap), server.url, timeout=0.05))
    assert tap.expired is None


@COLOURS
def test_a_tls_handshake_that_hangs_is_ended_by_connect(server: Server, colour: str) -> None:
    """TCP and TLS run on one clock; here TCP succeeds and the handshake never comes."""
    pool = Pool(server.url.replace("http:", "https:"), wire="openai", verify=False)
    tap = tap_of(connect=0.15)
    with pytest.raises(httpx.ConnectTimeout):
        send(pool, tap, colour)
    assert tap.expired == "connect"


@COLOURS
def test_a_refused_connection_is_told_with_its_cause(colour: str) -> None:
    """The truth is at the end of the chain of causes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    tap = tap_of()
    with pytest.raises(httpx.ConnectError) as caught:
        send(Pool(f"http://127.0.0.1:{port}", wire="openai"), tap, colour)
    error: BaseException | None = caught.value
    chain = []
    while error is not None:
        chain.append(type(error))
        error = error.__cause__ or error.__context__
    assert any(issubclass(kind, OSError) for kind in chain)


# Who may be reached.


@COLOURS
def test_a_foreign_host_gets_no_connection(server: Server, colour: str) -> None:
    """Neither a socket nor a name lookup, with a tap or without."""
    pool = Pool("http://localhost:1", wire="openai")
    tap = tap_of()
    with pytest.raises(HostRefused):
        send(pool, tap, colour, url=server.url)
    assert tap.refused_host == "127.0.0.1"
    assert tap.requests == 0
    with pytest.raises(HostRefused):
        pool.client().get("http://prompts.example.com/")
    assert server.connections == 0


@COLOURS
def test_redirects_are_not_followed(server: Server, pool: Pool, colour: str) -> None:
    """And a client that insists is refused."""
    server.script = lambda peer: peer.plain(
        b"", status="307 Away", more="Location: http://prompts.example.com/\r\n"
    )
    tap = tap_of()
    send(pool, tap, colour)
    assert tap.status == 307
    with pytest.raises(HostRefused):
        pool.bound(tap).get(server.url, follow_redirects=True)
    assert tap.refused_host == "prompts.example.com"


def test_the_backend_refuses_too() -> None:
    """The second lock on the same door."""
    allowed = frozenset({"127.0.0.1"})
    with pytest.raises(Refused):
        Backend(allowed).connect_tcp("localhost", 1)
    with pytest.raises(Refused):
        Backend(allowed).connect_unix_socket("/tmp/x")
    with pytest.raises(Refused):
        asyncio.run(AsyncBackend(allowed).connect_tcp("localhost", 1))
    with pytest.raises(Refused):
        asyncio.run(AsyncBackend(allowed).connect_unix_socket("/tmp/x"))


def test_allowed_hosts_are_compared_as_they_travel() -> None:
    """Upper case and IDNA make no difference; a trailing dot is another host."""
    pool = Pool("http://Bücher.Example/", wire="openai")
    assert pool.allowed_hosts == {"xn--bcher-kva.example"}
    with pytest.raises(HostRefused):
        pool.client().get("http://bücher.example./")
    with pytest.raises(ValueError, match="not an http"):
        Pool("ftp://x", wire="openai")


# Proxies.


def test_a_proxy_is_used_only_when_asked_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never for a local target; the check of the host is not the proxy's business."""
    server.script = lambda peer: peer.plain(ANSWER)
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    assert Pool("http://127.0.0.1:1", wire="openai", proxy=True)._proxy is None
    assert Pool("http://llm.example", wire="openai")._proxy is None
    monkeypatch.setenv("no_proxy", "other.example")
    assert Pool("http://other.example", wire="openai", proxy=True)._proxy is None
    pool = Pool("http://llm.example", wire="openai", proxy=True)
    tap = tap_of()
    assert b"".join(send(pool, tap)) == ANSWER
    assert server.requests[0].startswith(b"POST http://llm.example/v1/x")
    with pytest.raises(HostRefused):
        send(pool, tap, url="http://else.example/")
    pool.close()


# Sharing.


def test_two_threads_two_taps_one_client(server: Server, pool: Pool) -> None:
    """`current_tap` belongs to the thread, the connections to all."""
    server.script = lambda peer: peer.plain(peer.request.split(b" ")[1])
    barrier = threading.Barrier(2)
    taps: dict[str, Tap] = {}

    def work(name: str) -> None:
        taps[name] = tap_of()
        current_tap.set(taps[name])
        for _ in range(20):
            barrier.wait(5)
            pool.client().get(f"{server.url}/{name}")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: (tap.requests, tap.head) for name, tap in taps.items()} == {
        "a": (20, b"/a"),
        "b": (20, b"/b"),
    }
    assert server.connections <= 3


def test_two_tasks_two_taps_one_client(server: Server, pool: Pool) -> None:
    """`current_tap` belongs to the task."""
    server.script = lambda peer: peer.plain(peer.request.split(b" ")[1])

    async def work(name: str) -> bytes:
        tap = tap_of()
        current_tap.set(tap)
        await pool.aclient().get(f"{server.url}/{name}")
        return tap.head

    async def both() -> tuple[bytes, bytes]:
        first, second = await asyncio.gather(work("a"), work("b"))
        return first, second

    assert asyncio.run(both()) == (b"/a", b"/b")
    assert current_tap.get() is None


def test_closing_a_client_closes_no_connection(server: Server, pool: Pool) -> None:
    """Libraries close what they are given; the pool's own `close` is the only one that counts."""
    for _ in range(2):
        with pool.client() as client:
            client.get(server.url)
        client.close()
        bound = pool.bound(tap_of())
        bound.get(server.url)
        bound.close()
        del bound
        gc.collect()
    assert server.connections == 1
    pool.close()
    assert client.get(server.url).status_code == 200
    assert server.connections == 2


def test_a_stream_left_in_the_middle_frees_its_connection(server: Server, pool: Pool) -> None:
    """The server notices, and the record says that the body did not end."""
    server.script = flowing
    tap = tap_of()
    with pool.bound(tap).stream("POST", server.url, json={"stream": True}) as answer:
        next(answer.iter_raw())
    assert not tap.complete
    assert pool.connections().connections == []


async def _get(client: httpx.AsyncClient, url: str, **options: Any) -> int:
    return (await client.get(url, **options)).status_code


def _ignore(client: httpx.Client, url: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        client.get(url)


def _until(condition: Callable[[], bool]) -> None:
    """Wait for another thread, but not for ever."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


def test_each_loop_has_its_own_connections_and_closes_them(server: Server, pool: Pool) -> None:
    """No warning about what was left open, with warnings being errors."""
    for count in (1, 2):
        assert asyncio.run(_get(pool.aclient(), server.url)) == 200
        assert server.connections == count
        assert len(pool._loops) == 0 or all(loop.is_closed() for loop in pool._loops)
    gc.collect()


def test_a_loop_can_be_closed_by_hand(server: Server, pool: Pool) -> None:
    """`aclose` ends this loop's connections; the next request opens new ones."""

    async def run() -> None:
        for _ in range(2):
            await _get(pool.aclient(), server.url)
            await pool.aclose()

    asyncio.run(run())
    assert server.connections == 2
    gc.collect()


def test_a_cancelled_task_leaves_a_usable_pool(server: Server, pool: Pool) -> None:
    """The connection is given up, the next one works."""
    server.script = Peer.wait

    async def run() -> int:
        task = asyncio.create_task(_get(pool.aclient(), server.url))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.script = lambda peer: peer.plain(b"{}")
        return await _get(pool.aclient(), server.url)

    assert asyncio.run(run()) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_makes_its_own_connections(server: Server, pool: Pool) -> None:
    """And the parent's go on as if nothing had been."""
    pool.client().get(server.url)
    child = os.fork()
    if not child:  # no pytest in here
        code = 1
        with contextlib.suppress(BaseException):
            assert pool._sync is None
            pool.client().get(server.url)
            asyncio.run(_get(pool.aclient(), server.url))
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert server.connections == 3
    pool.client().get(server.url)
    assert server.connections == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_beneath_a_running_loop(server: Server, pool: Pool) -> None:
    """The loop's connections stay the parent's, and its poller is left alone."""

    async def run() -> None:
        await _get(pool.aclient(), server.url)
        child = os.fork()
        if not child:
            os._exit(0 if len(pool._loops) == 0 else 1)
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - a moment
        assert os.waitstatus_to_exitcode(status) == 0
        await _get(pool.aclient(), server.url)

    asyncio.run(run())
    assert server.connections == 1
