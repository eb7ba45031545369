"""Bugs of the caller's: raised as they are, written down as such, and no verdict on a target."""

from __future__ import annotations

import asyncio

import pytest

from pilotlight import failover
from pilotlight.core.flow.recorder import receipts
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget


@pytest.fixture
def route(clock):
    gpt = ScriptedTarget("gpt", "one two three", clock=clock, concurrency=1)
    return Route("chat", (gpt, ScriptedTarget("local", clock=clock)), clock=clock)


def blames_nobody(route: Route) -> None:
    """No target has been counted, and none is still occupied."""
    for target in route.targets:
        assert target.health.breaker.state.window.calls == 0
    assert route.targets[0].health.bulkhead.inside == 0


@pytest.mark.parametrize("shape", ["complete", "acomplete", "stream", "astream"])
def test_a_bug_in_a_decorated_function_is_raised_and_blames_nobody(route, shape):
    def function(*, target):
        raise TypeError("a bug")

    async def coroutine(*, target):
        raise TypeError("a bug")

    def generator(*, target):
        raise TypeError("a bug")
        yield

    async def agenerator(*, target):
        raise TypeError("a bug")
        yield

    made = {
        "complete": function,
        "acomplete": coroutine,
        "stream": generator,
        "astream": agenerator,
    }
    guarded = failover(route)(made[shape])

    async def main():
        if shape == "acomplete":
            return await guarded()
        return [item async for item in guarded()]

    with receipts() as log, pytest.raises(TypeError, match="a bug"):
        asyncio.run(main()) if shape[0] == "a" else list(guarded())
    assert [receipt.outcome for receipt in log] == ["raised"]
    blames_nobody(route)


def test_a_bug_after_the_first_text_is_raised_too(route):
    @failover(route)
    def words(*, target):
        yield "one"
        raise TypeError("a bug")

    with receipts() as log, pytest.raises(TypeError, match="a bug"):
        list(words())
    assert [receipt.outcome for receipt in log] == ["raised"]
    blames_nobody(route)
