"""The priority of a call, by every door and in every shape, and what a shed call says."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from ways import HELLO, WAYS, run

from pilotlight import AllTargetsFailed, InvalidCall, failover
from pilotlight.core.flow.recorder import receipts
from pilotlight.routes.route import Route
from pilotlight.testing import Fails, FakeClock, ScriptedTarget

EVERY_WAY = pytest.mark.parametrize(("door", "shape"), WAYS, ids=map("-".join, WAYS))


@pytest.fixture
def full(clock):
    """A local target with one place, which is taken, and one seat to wait on."""
    made = ScriptedTarget("local", "hello", local=True, clock=clock, concurrency=1, queue=1)
    made.health.bulkhead.enter(None)
    return made


def serve_one(target, clock, seconds):
    """Let it serve a call of so many seconds beside the one that has its place."""
    bulkhead = target.health.bulkhead
    bulkhead.configure(2, 1)
    served = bulkhead.enter(None)
    clock.advance(seconds)
    served.served()
    bulkhead.configure(1, 1)


@pytest.fixture
def route(full, clock):
    return Route("chat", (full,), clock=clock)


@EVERY_WAY
@pytest.mark.parametrize(
    ("asked", "default", "displaces"),
    [
        ("high", "normal", True),
        (None, "high", True),
        (None, "normal", False),
        ("normal", "high", False),
        ("low", "high", False),
    ],
)
def test_a_calls_own_priority_goes_over_its_routes(
    full, clock, door, shape, asked, default, displaces
):
    waiting = full.health.bulkhead.enter(None, "normal")
    route = Route("chat", (full,), clock=clock, priority=default)
    with pytest.raises(AllTargetsFailed):
        run(door, shape, route, priority=asked)
    assert waiting.state == ("refused" if displaces else "waiting")


@EVERY_WAY
def test_a_shed_call_says_when_to_come_back_and_what_would_mend_it(full, route, clock, door, shape):
    serve_one(full, clock, 4.0)
    full.health.bulkhead.enter(None)
    with receipts() as log, pytest.raises(AllTargetsFailed) as caught:
        run(door, shape, route)
    assert caught.value.retry_after == 4.0  # the one inside is due, and another waits
    assert pickle.loads(pickle.dumps(caught.value)).retry_after == 4.0
    assert str(caught.value).startswith(
        "no target of route 'chat' answered:\n  local saturated (local_overloaded: queue full)\n  mend: ask "
        "again in 4.0 s, or give local more `concurrency` or `queue` if the machine can carry it"
    )
    (skipped,) = log[0].skipped
    assert (skipped.reason, skipped.detail) == ("saturated", "local_overloaded: queue full")
    assert not full.calls


def test_a_closed_target_is_overloaded_by_its_own_name(clock):
    gpt = ScriptedTarget("gpt", clock=clock, concurrency=1)
    gpt.health.bulkhead.enter(None)
    with pytest.raises(AllTargetsFailed) as caught:
        Route("chat", (gpt,), clock=clock).complete(HELLO)
    assert caught.value.exceptions[0].detail == "overloaded: queue full"
    assert caught.value.retry_after > 0


def test_one_who_can_not_be_served_in_time_is_shed_at_once(full, route, clock):
    serve_one(full, clock, 10.0)
    with pytest.raises(AllTargetsFailed, match="local_overloaded: no time left"):
        route.complete(HELLO, total_timeout=3.0)
    assert clock.slept == []


@pytest.mark.parametrize("shape", ["sync", "async"])
def test_only_an_answer_is_measured(clock, shape):
    local = ScriptedTarget("local", Fails("server_error", takes=7.0), "hello", "hello",
                           local=True, clock=clock, concurrency=1)  # fmt: skip
    route = Route("chat", (local,), clock=clock)

    def ask() -> None:
        route.complete(HELLO) if shape == "sync" else asyncio.run(route.acomplete(HELLO))

    with pytest.raises(AllTargetsFailed):
        ask()
    assert local.health.bulkhead._times.usual is None
    ask()
    assert local.health.bulkhead._times.usual == 0.0


@pytest.mark.parametrize("priority", ["urgent", "", 1, True, ["high"]])
def test_a_bad_priority(route, full, priority):
    for call in (
        route.complete,
        route.stream,
        route.astream,
        lambda *a, **k: asyncio.run(route.acomplete(*a, **k)),
    ):
        with pytest.raises(InvalidCall, match="a priority is one of high, normal, low"):
            call(HELLO, priority=priority)

    @failover(route, priority=priority)
    def say(*, target):
        return target.say()

    with pytest.raises(InvalidCall, match="a priority is one of high, normal, low"):
        say()
    assert not full.calls


def test_a_wait_runs_out_by_the_clock_that_the_route_was_given():
    clock = FakeClock()
    full = ScriptedTarget("local", local=True, clock=clock, concurrency=1, queue=1)
    full.health.bulkhead.enter(None)
    route = Route("chat", (full,), total_timeout=2.5, clock=clock)
    for ask in (route.complete, lambda m: asyncio.run(route.acomplete(m))):
        with pytest.raises(TimeoutError):
            ask(HELLO)
    assert clock.slept == [2.5, 2.5]
    assert full.health.bulkhead.waiting == 0
