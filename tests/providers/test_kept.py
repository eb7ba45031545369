"""A task may be cancelled at any step of a request, and again: no connection is lost by it."""

from __future__ import annotations

import asyncio
import socket
import types
from collections.abc import Coroutine, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from pilotlight.wire.pool import Pool
from pilotlight_chaos import ChaosServer

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
# Cancelled once; again at the next step, as where a caller's timeout meets our own clock.
BLOWS = pytest.mark.parametrize("blows", [1, 2, 3])


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer() as running:
        running.fault("refusal", "unavailable")
        yield running


@types.coroutine
def _cancelled_at(request: Coroutine[Any, Any, None], steps: range) -> Any:
    """Run the request, and cancel its task just before it begins to wait for these times."""
    step = partial(request.send, None)
    for number in count():
        try:
            waits_for = step()
        except StopIteration:
            return
        task = asyncio.current_task()
        assert task is not None
        if number in steps:
            task.cancel()
        try:
            yield waits_for
        except BaseException as error:
            step = partial(request.throw, error)
        else:
            step = partial(request.send, None)


async def _read(pool: Pool, url: str, stream: bool) -> None:
    client = pool.aclient()
    async with client.stream("POST", url, json=ASK | {"stream": stream}) as answer:
        await answer.aread()


async def _survives(pool: Pool, url: str, stream: bool, steps: range) -> bool:
    """Cancel a request at these steps; tell whether it was over before the first of them."""

    async def call() -> None:
        await _cancelled_at(_read(pool, url, stream), steps)

    task = asyncio.ensure_future(call())
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    return outcome is None


@BLOWS
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", ["good", "refusal"])
@pytest.mark.parametrize("connection", ["new", "kept"])
def test_no_step_of_a_request_loses_a_connection(
    server: ChaosServer, name: str, stream: bool, blows: int, connection: str
) -> None:
    base = server.base(name)
    pool = Pool(base, wire="openai")
    url = f"{base}/v1/chat/completions"

    async def run() -> str:
        for first in range(60):
            if connection == "new":
                await pool.aclose()
            else:
                await _read(pool, f"{base}/v1/models", False)  # refused or not: it is answered
            over = await _survives(pool, url, stream, range(first, first + blows))
            connections = await pool.aconnections()
            assert not [each for each in connections.connections if not each.is_idle()], first
            assert not connections.busy, first
            if over:
                return "over"
        return "never came to its end"

    assert asyncio.run(run()) == "over"
    assert server.wait_idle(name)


def test_a_task_cancelled_in_a_handshake_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = Pool(f"https://127.0.0.1:{listener.getsockname()[1]}", wire="openai", verify=False)

        async def run() -> bytes:
            loop = asyncio.get_running_loop()
            listener.setblocking(False)
            task = asyncio.ensure_future(_read(pool, str(pool.origin), False))
            peer, _ = await loop.sock_accept(listener)
            with peer:
                peer.setblocking(False)
                assert await loop.sock_recv(peer, 65536)  # its part of the handshake
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return await asyncio.wait_for(loop.sock_recv(peer, 1), 10)

        assert asyncio.run(run()) == b""
