"""A refusal whose body never ends: the caller is told of the refusal, not of a socket or a clock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
from ways import HELLO, SHAPES, by_client, collected

from pilotlight import ProviderFault, failover, load

HEAD = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n"


def _refuse(listener: socket.socket, silent: bool, open_ones: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            asked = peer.recv(65536)
            while b"hello" not in asked:
                asked += peer.recv(65536)
            peer.sendall(HEAD + b'{"error": {"message": "no')
            open_ones.append(peer)
            if not silent:
                peer.close()


@pytest.fixture
def route(request):
    listener, open_ones = socket.create_server(("127.0.0.1", 0)), []
    served = threading.Thread(
        target=_refuse, args=(listener, request.param == "silent", open_ones), daemon=True
    )
    served.start()
    target = {
        "model": "openai/gpt-4o",
        "api_base": f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
        "api_key": "k",
        "timeout": {"total": 1.0 if request.param == "silent" else 30.0},
        "retry": {"max_retries": 0},
    }
    with load({"targets": {"gpt": target}, "routes": {"chat": {"targets": ["gpt"]}}}) as pilot:
        yield pilot.route("chat")
    listener.shutdown(socket.SHUT_RDWR)
    for peer in (listener, *open_ones):
        peer.close()
    served.join(5)


def _decorated(shape, route):
    @failover(route)
    def complete(*, target):
        client = target.http_client()
        return client.post(f"{target.api_base}/chat", json=HELLO).raise_for_status()

    @failover(route)
    async def acomplete(*, target):
        client = target.ahttp_client()
        return (await client.post(f"{target.api_base}/chat", json=HELLO)).raise_for_status()

    @failover(route)
    def stream(*, target):
        url = f"{target.api_base}/chat"
        with target.http_client().stream("POST", url, json=HELLO) as answer:
            yield answer.read()

    @failover(route)
    async def astream(*, target):
        url = f"{target.api_base}/chat"
        async with target.ahttp_client().stream("POST", url, json=HELLO) as answer:
            yield await answer.aread()

    return {
        "complete": complete,
        "acomplete": lambda: asyncio.run(acomplete()),
        "stream": lambda: list(stream()),
        "astream": lambda: asyncio.run(collected(astream())),
    }[shape]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("route", "door"),
    [("cut", "client"), ("cut", "decorator"), ("silent", "decorator")],
    indirect=["route"],
)
def test_half_a_refusal_is_the_refusal(route, door, shape):
    call = _decorated(shape, route) if door == "decorator" else lambda: by_client(shape, route)
    with pytest.raises(ProviderFault) as caught:
        call()
    assert caught.value.fault == "invalid_request"
    assert caught.value.target == "gpt"
    assert isinstance(caught.value.__cause__, Exception)
