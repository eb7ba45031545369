"""Private calls: whatever door, thread or task, nothing but a local target is asked."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest
from ways import HELLO, WAYS, run

import pilotlight
from pilotlight.errors import AllTargetsFailed
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault


@pytest.fixture
def cloud(clock):
    return ScriptedTarget("cloud", "from the cloud", clock=clock)


@pytest.fixture
def route(cloud, clock):
    return Route(
        "chat", (cloud, ScriptedTarget("home", "from home", local=True, clock=clock)), clock=clock
    )


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_the_block_holds_for_every_way_to_call(route, cloud, door, shape):
    with pilotlight.private():
        assert run(door, shape, route) == "from home"
    assert not cloud.calls
    assert run(door, shape, route) == "from the cloud"  # and ends with it


@pytest.mark.parametrize(("door", "shape"), WAYS)
def test_no_argument_lifts_it(route, cloud, door, shape):
    with pilotlight.private():
        assert run(door, shape, route, private=False) == "from home"
    assert not cloud.calls


def test_a_private_route_cannot_be_lifted_either(route, cloud):
    private = Route("chat", route.targets, private=True, clock=route.clock)
    assert private.complete(HELLO, private=False).text == "from home"
    assert not cloud.calls


def test_blocks_nest(route):
    with pilotlight.private():
        with pilotlight.private():
            pass
        assert route.complete(HELLO).text == "from home"


def test_it_ends_also_when_the_block_raises(route):
    with pytest.raises(KeyError), pilotlight.private():
        raise KeyError
    assert route.complete(HELLO).text == "from the cloud"


def test_it_crosses_await_tasks_and_to_thread(route, cloud):
    async def ask():
        await asyncio.sleep(0)
        return (await route.acomplete(HELLO)).text

    async def main():
        with pilotlight.private():
            return [
                await ask(),
                *await asyncio.gather(ask(), ask()),
                (await asyncio.to_thread(route.complete, HELLO)).text,
            ]

    assert asyncio.run(main()) == ["from home"] * 4
    assert not cloud.calls


def test_one_tasks_block_is_not_anothers(route):
    async def main():
        inside, done = asyncio.Event(), asyncio.Event()

        async def private():
            with pilotlight.private():
                inside.set()
                await done.wait()

        task = asyncio.create_task(private())
        await inside.wait()
        answer = await route.acomplete(HELLO)
        done.set()
        await task
        return answer.text

    assert asyncio.run(main()) == "from the cloud"


def test_a_thread_of_ones_own_needs_the_context(route):
    texts = []

    def ask():
        texts.append(route.complete(HELLO).text)

    with pilotlight.private():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(ask,))
        thread.start()
        thread.join(30)
    assert texts == ["from home"]


def test_a_stream_made_in_the_block_stays_private_when_read_after_it(route, cloud):
    with pilotlight.private():
        stream = route.stream(HELLO)
    list(stream)
    assert stream.text == "from home"
    assert not cloud.calls


def test_when_home_fails_the_call_fails(cloud, clock):
    home = ScriptedTarget("home", Fault.LOCAL_RUNNER_CRASHED, local=True, clock=clock)
    with pytest.raises(AllTargetsFailed) as caught:
        Route("chat", (home, cloud), clock=clock).complete(HELLO, private=True)
    assert caught.value.exceptions[1].reason == "residency"
    assert not cloud.calls


def test_a_drill_at_home_does_not_open_the_door(route, cloud):
    with pilotlight.private(), pilotlight.testing.outage("home"), pytest.raises(AllTargetsFailed):
        route.complete(HELLO)
    assert not cloud.calls


def test_a_receipt_says_that_the_call_was_private(route):
    assert route.complete(HELLO, private=True).receipt.private
    assert not route.complete(HELLO).receipt.private
