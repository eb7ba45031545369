"""A call that waits a moment for its fleet's trial: with the real thread, in threads and tasks."""

from __future__ import annotations

import asyncio
import time

import pytest

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.breaker.turn import Turn
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.target import Health
from pilotlight.routes.route import Route
from pilotlight.state.fleet import Fleet
from pilotlight.state.member import HOPE
from pilotlight.state.memory import MemoryBoard
from pilotlight.state.sqlite import SqliteBoard
from pilotlight.testing import ScriptedTarget

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(params=["memory", "sqlite"])
def opened(request, tmp_path):
    if request.param == "sqlite":
        return lambda: SqliteBoard(tmp_path / "board.db")
    board = MemoryBoard()
    return lambda: board


@pytest.mark.parametrize("way", ["complete", "acomplete", "stream", "astream"])
def test_the_first_call_after_the_break_is_the_trial(opened, way):
    health = Health(Breaker("shared"), RetryBudget())
    fleet = Fleet(opened)
    fleet.join("key", health)
    shared, back = ScriptedTarget("shared", "well"), ScriptedTarget("back", "instead")
    shared.health = health
    route = Route("r", (shared, back))
    health.breaker.trip("server_error", 0.0)
    began = time.monotonic()
    try:
        assert said(route, way) == "well"
    finally:
        fleet.stop(5.0)
    assert time.monotonic() - began < HOPE + 5.0
    assert health.breaker.state.name == "closed"


def said(route, way):
    async def of_tasks() -> str:
        if way == "acomplete":
            return (await route.acomplete(HELLO)).text
        chunks = [chunk async for chunk in route.astream(HELLO)]
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    if way == "complete":
        return route.complete(HELLO).text
    if way == "stream":
        return "".join(chunk.choices[0].delta.content or "" for chunk in route.stream(HELLO))
    return asyncio.run(of_tasks())


def test_a_turn_wakes_whoever_waits_however_late_he_says_so():
    woken = []
    early, late, gone = Turn(1.0), Turn(1.0), Turn(1.0)
    early.when_settled(lambda: woken.append("early"))
    early.settle()
    late.settle()
    late.when_settled(lambda: woken.append("late"))
    gone.when_settled(lambda: woken.append("gone"))
    gone.release()
    gone.settle()
    assert woken == ["early", "late"]
