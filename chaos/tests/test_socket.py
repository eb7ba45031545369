"""Transport faults, proven at the socket: bytes and connections, as both sides count them."""

from __future__ import annotations

import json
import socket
import ssl
import struct

import httpx
import pytest

from pilotlight_chaos import ChaosServer

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}
END = b"0\r\n\r\n"  # of a chunked body


def request(body: dict[str, object] = BODY) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST /p/x/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n"
    return head.encode() + b"\r\n" + data


class Client:
    """A client without a library."""

    def __init__(self, server: ChaosServer) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        self.got = b""
        self.parts: list[int] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def read(self, until: bytes | None = None) -> bytes:
        """Read to the end of the connection, or until so much has come."""
        while until is None or until not in self.got:
            part = self.sock.recv(65536)
            if not part:
                break
            self.got += part
            self.parts.append(len(part))
        return self.got


def tokens(data: bytes) -> int:
    return sum(data.count(f'"content":"{word} "'.encode()) for word in ("one", "two", "three"))


def test_a_good_answer_counts_the_same_on_both_sides(server: ChaosServer) -> None:
    with Client(server) as client:
        client.sock.sendall(request())
        got = client.read(END)
        assert (tokens(got), got.count(END)) == (3, 1)
        traffic = server.traffic
        assert (traffic.connections, traffic.open) == (1, 1)
        assert (traffic.received, traffic.sent) == (len(request()), len(got))


def test_hang_takes_every_byte_and_gives_none(server: ChaosServer) -> None:
    server.fault("x", "hang")
    with Client(server) as client:
        client.sock.sendall(request())
        assert server.wait_hits("x", 1)
        client.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.read()
        traffic = server.traffic
        assert (traffic.received, traffic.sent, traffic.open) == (len(request()), 0, 1)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_cut_sends_so_many_tokens_and_no_end(server: ChaosServer, after: int) -> None:
    server.fault("x", "cut", after=after)
    with Client(server) as client:
        client.sock.sendall(request())
        got = client.read()  # to the FIN
    assert (tokens(got), got.count(END)) == (after, 0)
    assert server.traffic.sent == len(got)


def test_reset_is_a_reset_and_not_a_close(server: ChaosServer) -> None:
    server.fault("x", "reset")
    with Client(server) as client, pytest.raises(ConnectionResetError):
        client.sock.sendall(request())
        client.read()
    assert (server.traffic.connections, server.traffic.sent) == (1, 0)


def test_stall_keeps_the_connection(server: ChaosServer) -> None:
    server.fault("x", "stall", after=1)
    with Client(server) as client:
        client.sock.sendall(request())
        got = client.read(b'"one "')
        client.sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.read()
        assert client.got.startswith(got)
        assert (tokens(client.got), server.traffic.open) == (1, 1)
        assert server.traffic.sent == len(client.got)


def test_keepalive_stall_goes_on_sending_nothing_of_use(server: ChaosServer) -> None:
    server.fault("x", "keepalive_stall", after=1, every=0.001)
    with Client(server) as client:
        client.sock.sendall(request())
        got = client.read(b": keep-alive")
        while got.count(b": keep-alive") < 10:
            client.got = b""
            got += client.read(b": keep-alive")
        assert (tokens(got), END in got) == (1, False)


def test_drip_sends_it_all_in_small_portions_and_only_this_answer(server: ChaosServer) -> None:
    server.fault("x", "drip", bytes_per_second=5000, times=1)
    body = dict(BODY, stream=False)
    with Client(server) as client:
        client.sock.sendall(request(body))
        dripped = client.read(b'"total_tokens":10}}')
        assert client.parts[0] <= 250  # 50 ms of it
        assert len(client.parts) > 1
        client.got, client.parts = b"", []
        client.sock.sendall(request(body))  # the same connection, at full speed
        assert len(client.read(b'"total_tokens":10}}')) == len(dripped)
        assert len(client.parts) == 1
    assert (server.traffic.sent, server.traffic.connections) == (2 * len(dripped), 1)


def test_refused_is_refused_and_nothing_arrives(server: ChaosServer) -> None:
    port = int(server.broken_base("x", "refused").split(":")[2].split("/")[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert server.traffic.connections == 0


def test_dns_does_not_resolve(server: ChaosServer) -> None:
    base = server.broken_base("x", "dns")
    assert base.endswith("/p/x")
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(httpx.URL(base).host, 80)


def test_tls_is_refused_by_who_verifies(server: ChaosServer) -> None:
    base = server.broken_base("x", "tls")
    assert base.startswith("https://")
    assert base == server.broken_base("x", "tls")
    with httpx.Client(trust_env=False) as careful, pytest.raises(httpx.ConnectError) as caught:
        careful.post(f"{base}/v1/chat/completions", json=BODY)
    cause: BaseException | None = caught.value
    while cause and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    assert cause is not None
    assert server.hits() == 0
    with httpx.Client(trust_env=False, verify=False) as careless:  # an intercepting proxy's victim
        assert careless.post(f"{base}/v1/chat/completions", json=BODY).status_code == 200


def test_tls_without_trustme_says_what_to_install(
    server: ChaosServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from pilotlight_chaos import FaultError

    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(FaultError, match=r"pilotlight-chaos\[tls\]"):
        server.broken_base("x", "tls")


@pytest.mark.parametrize("follow", [True, False])
def test_a_captive_portal_leads_to_a_page(server: ChaosServer, follow: bool) -> None:
    server.fault("x", "captive_portal")
    url = f"{server.base('x')}/v1/chat/completions"
    with httpx.Client(trust_env=False, follow_redirects=follow) as client:
        reply = client.post(url, json=BODY)
    assert reply.status_code == (200 if follow else 302)
    assert reply.text.startswith("<!DOCTYPE html>")
    assert server.requests("x")[0].fault == "captive_portal"


def test_a_client_that_tears_the_connection_down_is_noticed(server: ChaosServer) -> None:
    server.fault("x", "hang")
    with Client(server) as client:
        client.sock.sendall(request())
        assert server.wait_hits("x", 1)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert server.wait_idle("x")
    assert server.counters("x").disconnected == 1
