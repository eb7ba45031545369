"""Calls that nobody waits for any more: everything is given back, nobody is blamed."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading

import pytest
from ways import HELLO, decorated

from pilotlight.core.flow.recorder import receipts
from pilotlight.core.provider import Answered, Timeouts
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget

pytestmark = pytest.mark.usefixtures("settled_heap")
PATIENCE = 30.0


@pytest.fixture
def gpt(clock):
    """One place, nobody may queue, and its breaker half-open: whatever leaks shows at once."""
    made = ScriptedTarget("gpt", "one two three", clock=clock, concurrency=1, queue=4)
    made.health.breaker.trip("outage", 0.0)
    return made


@pytest.fixture
def route(gpt, clock):
    return Route("chat", (gpt, ScriptedTarget("local", clock=clock)), clock=clock)


@pytest.fixture(autouse=True)
def _nothing_is_said(gpt, capfd, recwarn):
    """Whatever a test below does, it must end like this."""
    gc.collect()  # what other tests have left behind is not this one's doing
    recwarn.clear()
    yield
    gc.collect()
    health = gpt.health
    assert (health.bulkhead.inside, health.bulkhead.waiting) == (0, 0)
    assert health.breaker.state.name == "half-open"
    assert not health.breaker.state.places
    assert health.breaker.fail_counter == 0
    assert capfd.readouterr().err == ""
    assert not recwarn.list


def outcomes(log) -> list[str]:
    return [receipt.outcome for receipt in log]


# Streams.


@pytest.mark.parametrize("by", ["close", "del", "with"])
@pytest.mark.parametrize("door", ["client", "decorator"])
def test_a_stream_left_half_way(route, gpt, door, by):
    with receipts() as log:
        stream = route.stream(HELLO) if door == "client" else decorated("stream", route)()
        assert next(stream)
        assert gpt.health.bulkhead.inside == 1
        if by == "close":
            stream.close()
        elif by == "with" and door == "client":
            with stream:
                pass
        del stream
        gc.collect()
    assert outcomes(log) == ["abandoned"]


def test_a_loop_over_a_stream_that_breaks(route):
    with receipts() as log:
        for _word in decorated("stream", route)():
            break
        gc.collect()
    assert outcomes(log) == ["abandoned"]


@pytest.mark.parametrize("door", ["client", "decorator"])
def test_an_exception_thrown_into_a_stream_by_its_reader(route, door):
    with receipts() as log:
        chunks = route.stream(HELLO)._chunks if door == "client" else decorated("stream", route)()
        next(chunks)
        with pytest.raises(KeyError, match="the reader's own"):
            chunks.throw(KeyError("the reader's own"))
    assert outcomes(log) == ["abandoned"]


def make(door: str, route: Route):
    return route.astream(HELLO) if door == "client" else decorated("astream", route)()


@pytest.mark.parametrize("door", ["client", "decorator"])
def test_an_async_stream_closed_half_way(route, gpt, door):
    async def main():
        stream = make(door, route)
        await anext(stream)
        assert gpt.health.bulkhead.inside == 1
        await stream.aclose()
        assert gpt.health.bulkhead.inside == 0  # at once, not when the loop comes to it

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["abandoned"]


@pytest.mark.parametrize("door", ["client", "decorator"])
def test_an_async_stream_dropped_half_way(route, door):
    """The event loop finalises what nobody holds any more."""

    async def main():
        async for _chunk in make(door, route):
            break
        gc.collect()

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["abandoned"]


@pytest.mark.parametrize("door", ["client", "decorator"])
def test_a_task_cancelled_between_two_chunks(route, door):
    async def main():
        reading = asyncio.Event()

        async def read():
            async for _chunk in make(door, route):
                reading.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["abandoned"]


# Calls.


def hang_in(gpt, begun: asyncio.Event) -> None:
    """Let the target's coroutine hang for ever."""

    async def hang(call, attempt):
        begun.set()
        await asyncio.Event().wait()

    gpt.provider.acomplete = hang


def test_a_task_cancelled_in_an_attempt(route, gpt):
    async def main():
        begun = asyncio.Event()
        hang_in(gpt, begun)
        task = asyncio.create_task(route.acomplete(HELLO))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["cancelled"]


def test_a_decorated_coroutine_cancelled_in_an_attempt(gpt, route):
    from pilotlight import failover

    async def main():
        begun = asyncio.Event()

        @failover(route)
        async def ask(*, target):
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ask())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["cancelled"]


def test_a_task_cancelled_while_it_waits_in_the_queue(route, gpt):
    gpt.timeouts = Timeouts(total=None)  # on a FakeClock a wait with an end is over at once

    async def main():
        inside = gpt.health.bulkhead.enter(None)
        tasks = [asyncio.create_task(route.acomplete(HELLO)) for _ in range(2)]
        while gpt.health.bulkhead.waiting < 2:
            await asyncio.sleep(0)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert gpt.health.bulkhead.waiting == 1
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        inside.release()

    with receipts() as log:
        asyncio.run(main())
    assert outcomes(log) == ["cancelled", "cancelled"]
    gpt.health.breaker.acquire().release()  # nobody came so far as to ask it


@pytest.mark.parametrize("way_out", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_inside_a_plain_call(route, gpt, way_out):
    def interrupted(call, attempt):
        raise way_out

    gpt.provider.complete = interrupted
    with receipts() as log, pytest.raises(way_out):
        route.complete(HELLO)
    assert outcomes(log) == ["cancelled"]


@pytest.mark.parametrize("shape", ["complete", "stream"])
def test_ctrl_c_inside_a_decorated_function(route, shape):
    from pilotlight import failover

    def function(*, target):
        raise KeyboardInterrupt

    def generator(*, target):
        raise KeyboardInterrupt
        yield

    guarded = failover(route)(function if shape == "complete" else generator)
    with receipts() as log, pytest.raises(KeyboardInterrupt):
        list(guarded() or ())
    assert outcomes(log) == ["cancelled"]


def test_a_thread_killed_inside_a_call(route, gpt):
    """As an impatient web server does to a worker: an exception from outside, at any line."""
    begun, caught = threading.Event(), []

    def hang(call, attempt) -> Answered:
        begun.set()
        while True:
            threading.Event().wait(0.001)

    gpt.provider.complete = hang

    def work():
        try:
            with receipts() as log:
                route.complete(HELLO)
        except SystemExit:
            caught.extend(outcomes(log))

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(PATIENCE)
    ident = ctypes.c_ulong(thread.ident)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit)) == 1
    thread.join(PATIENCE)
    assert caught == ["cancelled"]
