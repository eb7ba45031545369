"""Connections are used again where that is possible, and closed where it is not."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pilotlight.wire import connections as kept
from pilotlight.wire.pool import Pool
from pilotlight_chaos import ChaosServer


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer() as running:
        yield running


@pytest.fixture
def pool(server: ChaosServer) -> Iterator[Pool]:
    pool = Pool(server.base("p"), wire="openai")
    yield pool
    pool.close()


def ask(pool: Pool) -> int:
    return pool.client().get(f"{pool.origin}/v1/models").status_code


def test_calls_in_a_row_use_one_connection(pool: Pool) -> None:
    for _ in range(5):
        ask(pool)
    assert len(pool.connections().connections) == 1
    assert not pool.connections().busy


def test_calls_at_once_use_one_each_and_all_are_kept(pool: Pool) -> None:
    client, url = pool.client(), f"{pool.origin}/v1/models"
    answers = [client.send(client.build_request("GET", url), stream=True) for _ in range(4)]
    assert len(pool.connections().busy) == 4
    for answer in answers:
        answer.read()
    assert [each.is_idle() for each in pool.connections().connections] == [True] * 4


def test_no_more_than_so_many_are_kept(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 2)
    client, url = pool.client(), f"{pool.origin}/v1/models"
    answers = [client.send(client.build_request("GET", url), stream=True) for _ in range(4)]
    for answer in answers:
        answer.read()
    assert len(pool.connections().connections) == 2


def test_an_answer_left_half_way_ends_its_connection(pool: Pool) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with pool.client().stream("POST", f"{pool.origin}/v1/chat/completions", json=body) as answer:
        next(answer.iter_raw())
        (connection,) = pool.connections().busy
    assert connection.is_closed()
    assert pool.connections().connections == []


def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = Pool(f"http://127.0.0.1:{listener.getsockname()[1]}", wire="openai")
        closed = threading.Event()

        def serve() -> None:
            for _ in range(2):
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):  # until the client has closed, too
                        pass
                    closed.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert pool.client().get(str(pool.origin)).text == "ok"
        (first,) = pool.connections().connections
        _until_readable(first)
        assert pool.client().get(str(pool.origin)).text == "ok"
        assert first.is_closed()
        assert closed.wait(10)
        pool.close()
        thread.join(10)


def _until_readable(connection: Any) -> None:
    """Wait for the server's end to arrive."""
    stream = connection._connection._network_stream
    stream.get_extra_info("socket").setblocking(True)
    assert stream.get_extra_info("socket").recv(1, socket.MSG_PEEK) == b""


def test_a_pool_closed_meanwhile_keeps_nothing(pool: Pool) -> None:
    client = pool.client()
    answer = client.send(client.build_request("GET", f"{pool.origin}/v1/models"), stream=True)
    connections = pool.connections()
    (connection,) = connections.busy
    pool.close()
    assert answer.read()
    assert connection.is_closed()
    assert connections.connections == []


def test_closing_twice_gives_nothing_back_twice(pool: Pool) -> None:
    client = pool.client()
    answer = client.send(client.build_request("GET", f"{pool.origin}/v1/models"), stream=True)
    answer.read()
    body = answer.stream
    assert ask(pool) == answer.status_code
    other = client.send(client.build_request("GET", f"{pool.origin}/v1/models"), stream=True)
    body.close()  # type: ignore[union-attr]
    assert len(pool.connections().busy) == 1
    other.read()


def test_a_refused_connection_leaves_nothing(server: ChaosServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    pool = Pool(address, wire="openai")

    async def run() -> None:
        with pytest.raises(httpx.ConnectError):
            await pool.aclient().get(address)
        assert (await pool.aconnections()).connections == []

    with pytest.raises(httpx.ConnectError):
        pool.client().get(address)
    assert pool.connections().connections == []
    asyncio.run(run())


def test_many_tasks_share_what_there_is(server: ChaosServer) -> None:
    pool = Pool(server.base("p"), wire="openai")

    async def run() -> None:
        async def once() -> None:
            assert (await pool.aclient().get(f"{pool.origin}/v1/models")).status_code

        await asyncio.gather(*(once() for _ in range(30)))
        connections = await pool.aconnections()
        made = len(connections.connections)
        assert made <= 30
        for _ in range(20):
            await once()
        assert len(connections.connections) == made
        assert not connections.busy

    asyncio.run(run())
    gc.collect()  # a socket that was forgotten would say so here
    assert server.wait_idle("p")
