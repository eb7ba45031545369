"""Connections: slow ones, large ones, garbage, and callers who leave."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit_gateway import ASK, MODELS, config, serving, stream_request, wait_for

from pilotlight.doors.gateway.server import HEAD
from pilotlight_chaos import ChaosServer


def rest(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def test_a_body_that_says_it_is_too_large_is_not_read(site):
    with site.raw() as connection:
        connection.sendall(
            b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000000\r\n\r\n"
        )
        got = rest(connection)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b'"type":"request_too_large"' in got
    assert b"serve.max_body_mb" in got


def test_a_body_that_grows_too_large_is_refused_while_it_is_read(site):
    sent = 0
    with site.raw() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            while sent < 1_000_000_000:
                connection.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        assert sent < 200_000_000
        assert site.gateway._bodies.held == 0
    assert site.chat().status_code == 200


def test_all_bodies_together_are_bounded(chaos):
    with serving(config(chaos, max_body_mb=1, max_bodies_mb=1.5, body_timeout=20)) as site:
        half = b'{"model": "chat", "pad": "' + b"x" * 900_000
        with site.raw() as first, site.raw() as second:
            for each in (first, second):
                each.sendall(
                    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                    b"content-length: 950000\r\n\r\n" + half
                )
            told = rest(second) if not first_refused(first) else b"HTTP/1.1 503 "
        assert told.startswith(b"HTTP/1.1 503 ")
        wait_for(lambda: site.gateway._bodies.held == 0)


def first_refused(connection: socket.socket) -> bool:
    connection.settimeout(0.5)
    try:
        return connection.recv(12).startswith(b"HTTP/1.1 503")
    except TimeoutError:
        return False


def test_a_slow_body_is_given_up(site):
    with site.raw() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{"
        )
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


def test_a_slow_head_is_given_up(chaos):
    with serving(config(chaos, head_timeout=0.2)) as site:
        connections = [site.raw() for _ in range(20)]
        for each in connections[::2]:
            each.sendall(b"GET /health/live HTTP/1.1\r\nhost:")
        for each in connections:
            assert rest(each) == b""
            each.close()
        wait_for(lambda: not site.server.server_state.connections)


def test_an_endless_head_is_refused(site):
    with site.raw() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-more: " + b"y" * HEAD)
        assert rest(connection).startswith(b"HTTP/1.1 431 ")
    assert site.get("/health/live").status_code == 200


def test_idle_connections_make_room_and_busy_ones_do_not(chaos):
    chaos.fault("cloud", "hang")
    with serving(config(chaos, max_connections=3)) as site:
        idle = [site.raw() for _ in range(3)]
        wait_for(lambda: len(site.server.server_state.connections) == 3)
        assert site.get("/health/live").status_code == 200
        busy = [site.raw() for _ in range(3)]
        for each in busy:
            each.sendall(stream_request("/v1/chat/completions", {"model": "chat", "messages": ASK}))
        wait_for(lambda: site.gateway.in_flight == 3)
        with site.raw() as one_more:
            assert rest(one_more).startswith(b"HTTP/1.1 503 ")
        for each in (*idle, *busy):
            each.close()
        wait_for(lambda: site.gateway.in_flight == 0)


def test_a_caller_that_takes_nothing_is_given_up():
    with (
        ChaosServer(models=MODELS, reply="a word and another " * 50_000) as chaos,
        serving(config(chaos, send_timeout=0.3)) as site,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", site.port))
        body = {"model": "chat", "messages": ASK, "stream": True}
        connection.sendall(stream_request("/v1/chat/completions", body))
        assert chaos.wait_for(lambda: chaos.counters("cloud").disconnected == 1, timeout=60)
        wait_for(lambda: site.gateway.in_flight == 0)
        assert chaos.counters("cloud").completed == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_leaves_frees_its_upstream(stream, chaos):
    """How soon is a matter for benchmarks: here is held that nobody is kept or blamed."""
    chaos.fault("cloud", "hang")
    with serving(config(chaos)) as site:
        body = {"model": "cloud", "messages": ASK, "stream": stream}
        with site.raw() as connection:
            connection.sendall(stream_request("/v1/chat/completions", body))
            assert chaos.wait_hits("cloud", 1)
        assert chaos.wait_for(lambda: chaos.counters("cloud").disconnected == 1)
        wait_for(lambda: site.gateway.in_flight == 0)
        target = site.gateway.app.target("gpt")
        assert target.health.breaker.state.name == "closed", "nobody is to blame"
        assert site.chat("claude").status_code == 200


GARBAGE = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [
            b"GET", b"POST", b" ", b"/", b"/v1/chat/completions", b"HTTP/1.1", b"\r\n", b"\r\n\r\n",
            b"host: 127.0.0.1", b"content-length: 5", b"content-length: -1", b"content-length: 5x",
            b"transfer-encoding: chunked", b"ffffffff\r\n", b"0\r\n\r\n", b"{}", b"\x00", b"\xff\xfe",
            b"http://[", b"/%ff%00", b"CONNECT", b"upgrade: websocket", b"connection: upgrade",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"expect: 100-continue", b"x-api-key: \xff",
        ]
    ),
    max_size=14,
).map(b"".join)  # fmt: skip


def test_garbage_is_refused_and_harms_nobody(chaos, caplog):
    with serving(config(chaos, head_timeout=0.2, body_timeout=0.2)) as site:

        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        @given(GARBAGE)
        def send(garbage: bytes) -> None:
            with site.raw() as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                got = rest(connection)
            assert got[:9] in (b"", b"HTTP/1.1 ")
            assert not got.startswith(b"HTTP/1.1 5"), got

        send()
        assert site.chat().status_code == 200
        wait_for(lambda: site.gateway.in_flight == 0)
    assert "Traceback" not in caplog.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = [
    "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens",
    "/v1beta/models/chat:generateContent", "/v1beta/models/chat:countTokens",
    "/v1beta/models/vectors:embedContent", "/v1beta/models/vectors:batchEmbedContents",
    "/api/chat", "/api/generate", "/api/show", "/api/embed", "/v1/embeddings",
]  # fmt: skip
FIELDS = st.sampled_from(
    ["messages", "input", "contents", "prompt", "system", "tools", "options", "stream", "requests",
     "content", "dimensions", "encoding_format", "generationConfig", "max_tokens", "images", "name"]
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_any_json_is_answered_or_refused(path, chaos, caplog):
    with serving(config(chaos)) as site:

        @settings(max_examples=40, suppress_health_check=list(HealthCheck))
        @given(
            st.dictionaries(FIELDS, JSON, max_size=4) | JSON,
            st.sampled_from(["chat", "vectors", 7]),
        )
        def send(body, model) -> None:
            if isinstance(body, dict):
                body = {"model": model, **body}
            data = json.dumps(body).encode()
            reply = site.post(path, content=data)
            assert reply.status_code < 500, reply.text

        send()
    assert "Traceback" not in caplog.text


def test_a_coded_body_is_refused(site):
    reply = site.post("/v1/messages", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert reply.status_code == 415
    assert reply.json()["type"] == "error"


def test_slow_clients_do_not_shut_the_others_out(chaos):
    """Many times as many as there is room for, each dripping its head."""
    with serving(config(chaos, max_connections=40)) as site:
        slow = [site.raw() for _ in range(200)]
        for each in slow:
            try:
                each.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: ")
            except OSError:  # it had to make room already
                pass
        assert [site.chat().status_code for _ in range(10)] == [200] * 10
        assert len(site.server.server_state.connections) <= 40
        for each in slow:
            each.close()
