"""The TCP proxy: what leaves on one side, what arrives on the other, counted at both."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from pilotlight_chaos import ChaosServer, FaultError, TcpProxy
from pilotlight_chaos.cli import main
from pilotlight_chaos.proxy_control import ProxyControl

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def proxy(server: ChaosServer) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", server.port) as running:
        yield running


def request(**more: object) -> bytes:
    data = json.dumps(BODY | more).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n"
    return f"{head}\r\n".encode() + data


def dial(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def read_all(sock: socket.socket) -> bytes:
    got = b""
    while part := sock.recv(65536):
        got += part
    return got


def ask(proxy: TcpProxy, http: httpx.Client) -> httpx.Response:
    return http.post(f"{proxy.url}/v1/chat/completions", json=BODY)


def test_every_byte_goes_through_in_both_directions(
    server: ChaosServer, proxy: TcpProxy, http: httpx.Client
) -> None:
    for _ in range(3):
        assert ask(proxy, http).json()["choices"][0]["message"]["content"].startswith("one two")
    clients, upstream, seen = proxy.traffic, proxy.upstream, server.traffic
    assert clients.received == upstream.sent == seen.received > 0
    assert clients.sent == upstream.received == seen.sent > 0
    assert (clients.connections, upstream.connections, seen.connections) == (1, 1, 1)


def test_half_close_is_passed_on(proxy: TcpProxy) -> None:
    """A client that has said all closes its side, and still gets its answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        with TcpProxy("127.0.0.1", listener.getsockname()[1]) as tunnel, dial(tunnel) as client:
            end, _ = listener.accept()
            with end:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert read_all(end) == b"question"  # and then the end of it
                end.sendall(b"answer" * 50_000)
                end.shutdown(socket.SHUT_WR)
                assert read_all(client) == b"answer" * 50_000
            assert tunnel.upstream.received == tunnel.traffic.sent == 300_000


@pytest.mark.parametrize("after", [0, 1, 100])
def test_cut_after_so_many_bytes(server: ChaosServer, proxy: TcpProxy, after: int) -> None:
    proxy.fault("cut", after=after)
    with dial(proxy) as client:
        client.sendall(request())
        assert len(read_all(client)) == after == proxy.traffic.sent
    assert proxy.upstream.sent == len(request())  # the question was passed on
    assert server.hits() == 1


def test_a_cut_beyond_the_end_of_the_answer_does_nothing(
    proxy: TcpProxy, http: httpx.Client
) -> None:
    proxy.fault("cut", after=100_000)
    assert ask(proxy, http).status_code == 200
    assert ask(proxy, http).status_code == 200


def test_reset_before_any_byte_reaches_the_upstream(server: ChaosServer, proxy: TcpProxy) -> None:
    proxy.fault("reset")
    with dial(proxy) as client, pytest.raises(ConnectionResetError):
        client.sendall(request())
        read_all(client)
    assert (proxy.traffic.sent, proxy.upstream.sent, server.hits()) == (0, 0, 0)


def test_hang_swallows(server: ChaosServer, proxy: TcpProxy) -> None:
    proxy.fault("hang")
    with dial(proxy) as client:
        client.sendall(request())
        client.sendall(b"x" * 1_000_000)  # it goes on reading, or this would block
        client.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(5)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""  # it lets go of a client that leaves
    assert proxy.traffic.received == len(request()) + 1_000_000
    assert (proxy.traffic.sent, proxy.upstream.sent, server.hits()) == (0, 0, 0)


def test_stall_after_so_many_bytes_keeps_the_connection(proxy: TcpProxy) -> None:
    proxy.fault("stall", after=50)
    with dial(proxy) as client:
        client.sendall(request())
        assert len(client.recv(65536)) == 50
        client.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert (proxy.traffic.sent, proxy.traffic.open) == (50, 1)


def test_a_connection_that_is_kept_is_struck_too(
    server: ChaosServer, proxy: TcpProxy, http: httpx.Client
) -> None:
    proxy.fault("reset", skip=2, times=1)
    assert [ask(proxy, http).status_code for _ in range(2)] == [200, 200]
    with pytest.raises(httpx.TransportError):
        ask(proxy, http)
    assert ask(proxy, http).status_code == 200
    assert (proxy.traffic.connections, server.hits()) == (2, 3)


def test_drip_and_latency_together(proxy: TcpProxy) -> None:
    proxy.fault("slow", seconds=0.01, jitter=0.01)
    proxy.fault("drip", bytes_per_second=5000, add=True)
    parts = []
    with dial(proxy) as client:
        client.sendall(request())
        while sum(parts) < proxy.upstream.received or not parts:
            parts.append(len(client.recv(65536)))
    assert parts[0] <= 250  # 50 ms of it
    assert len(parts) > 1
    assert sum(parts) == proxy.traffic.sent == proxy.upstream.received


def test_refused_and_accepted_again(proxy: TcpProxy, http: httpx.Client) -> None:
    port = proxy.port
    assert ask(proxy, http).status_code == 200
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    assert (proxy.traffic.open, proxy.upstream.open) == (0, 0)
    proxy.accept_again()
    assert proxy.port == port
    assert ask(proxy, http).status_code == 200
    assert proxy.traffic.connections == 2


def test_an_upstream_that_is_not_there_resets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with TcpProxy("127.0.0.1", port) as proxy:
        with pytest.raises(ConnectionResetError), dial(proxy) as client:
            client.recv(1)
        assert proxy.upstream.connections == 0


def test_https_passes_as_it_is(server: ChaosServer) -> None:
    port = httpx.URL(server.broken_base("x", "tls")).port
    assert port is not None
    with (
        TcpProxy("127.0.0.1", port) as proxy,
        httpx.Client(trust_env=False, verify=False) as client,
    ):
        url = f"https://127.0.0.1:{proxy.port}/v1/chat/completions"
        assert client.post(url, json=BODY).status_code == 200
        proxy.fault("cut", after=10)
        with pytest.raises(httpx.TransportError):
            client.post(url, json=BODY)


def test_closing_lets_go_of_everything(server: ChaosServer) -> None:
    proxy = TcpProxy("127.0.0.1", server.port).start()
    proxy.fault("stall", after=1)
    with dial(proxy) as hanging, dial(proxy) as idle:
        hanging.sendall(request())
        assert hanging.recv(65536) == b"H"
        proxy.heal()
        idle.sendall(request())
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        proxy.close()
        for each in (hanging, idle):
            with pytest.raises(ConnectionResetError):
                each.recv(1)
    assert (proxy.traffic.open, proxy.upstream.open) == (0, 0)
    proxy.close()
    with pytest.raises(RuntimeError, match="not running"):
        proxy.refuse()


@pytest.mark.parametrize("kind", ["quota", "eof", "missing", "dns", "keepalive_stall"])
def test_faults_that_need_a_protocol_are_refused(proxy: TcpProxy, kind: str) -> None:
    with pytest.raises(FaultError, match=f"tcp cannot have the fault '{kind}'"):
        proxy.fault(kind)


def test_the_control_port(proxy: TcpProxy, http: httpx.Client) -> None:
    with ProxyControl(proxy) as control:
        fault = {"kind": "reset", "times": 1}
        told = http.post(f"{control.url}/fault", json=fault).json()
        assert told["faults"][0]["kind"] == "reset"
        with pytest.raises(httpx.TransportError):
            ask(proxy, http)
        http.post(f"{control.url}/heal")
        assert http.get(control.url).json()["faults"] == []
        assert ask(proxy, http).status_code == 200
        assert http.get(control.url).json()["clients"]["connections"] == 2
        http.post(f"{control.url}/refuse")
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)
        http.post(f"{control.url}/accept")
        dial(proxy).close()
        reply = http.post(f"{control.url}/fault", json={"kind": "rest"})
        assert (reply.status_code, "did you mean 'reset'" in reply.text) == (400, True)
        assert http.post(f"{control.url}/fault", json={}).status_code == 400
        assert http.get(f"{control.url}/nothing").status_code == 404


def test_cli_proxy(server: ChaosServer, capsys: pytest.CaptureFixture[str]) -> None:
    upstream = f"127.0.0.1:{server.port}"
    command = [sys.executable, "-m", "pilotlight_chaos", "proxy", "--upstream", upstream]
    command += ["--fault", "slow seconds=0.01 jitter=0.005", "--fault", "cut after=5 skip=1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as out:
        url = out.readline().split(",")[0].split()[-1]
        with httpx.Client(trust_env=False) as client:
            assert client.get(url).text == "Ollama is running"
            with pytest.raises(httpx.RemoteProtocolError):
                client.get(url)
        process.terminate()
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--upstream", "11434"], "HOST:PORT"),
        (["--upstream", "h:1", "--fault", "slow seconds"], "not name=value"),
        (["--upstream", "h:1", "--fault", "slow second=1"], "did you mean 'seconds'"),
        (["--upstream", "h:1", "--fault", "quota"], "tcp cannot have"),
    ],
)
def test_cli_mistakes(wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxy", *wrong]) == 2
    assert told in capsys.readouterr().out
