"""Receipts: what they hold, how they are stored, and who gets them."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from kit import PATIENCE, fails, flow, target

import pilotlight
from pilotlight import events, receipts
from pilotlight.core.provider import Answered, Facts, Opened
from pilotlight.errors import AllTargetsFailed
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import Fault

HELLO = [{"role": "user", "content": "a secret question"}]


def test_a_receipt_is_ready_for_json(clock):
    gpt, claude, local = (target(name, clock) for name in ("gpt", "claude", "local"))
    claude.health.breaker.trip("model_retired", float("inf"))
    talk, recorder = flow([gpt, claude, local], clock)
    next(talk)
    clock.advance(2)
    talk.send(fails(Fault.RATE_LIMITED, retry_after=30.0, status=429, evidence="slow down"))
    with pytest.raises(StopIteration):
        talk.send(Answered("hi", Facts(model="llama3.2", prompt_tokens=3, flags=("truncated",))))
    data = json.loads(json.dumps(recorder.receipt().to_dict(), allow_nan=False))
    first, last = data["attempts"]
    assert (data["outcome"], data["failed_over"], data["served_by"]) == ("failover", True, "local")
    assert (first["fault"], first["status"], first["retry_after"]) == ("rate_limited", 429, 30.0)
    assert (first["duration"], first["evidence"]) == (2.0, "slow down")
    assert (last["fault"], last["served_model"], last["flags"]) == (None, "llama3.2", ["truncated"])
    assert [(s["target"], s["reason"]) for s in data["skipped"]] == [("claude", "breaker_open")]


def test_a_receipt_holds_neither_question_nor_answer(clock):
    route = Route("chat", (ScriptedTarget("gpt", "a secret answer", clock=clock),), clock=clock)
    assert "secret" not in repr(route.complete(HELLO).receipt)


def test_every_call_inside_the_block_is_collected_and_no_other(clock):
    route = Route("chat", (ScriptedTarget("gpt", clock=clock),), clock=clock)
    route.complete(HELLO)
    with receipts() as outer:
        route.complete(HELLO)
        with receipts() as inner:
            list(route.stream(HELLO))
        asyncio.run(route.acomplete(HELLO))
    route.complete(HELLO)
    assert (len(outer), len(inner)) == (3, 1)
    assert inner[0] is outer[1]


def test_a_failed_call_is_collected_too(clock):
    gpt = ScriptedTarget("gpt", Fault.SERVER_ERROR, clock=clock)
    with receipts() as log, pytest.raises(AllTargetsFailed):
        Route("chat", (gpt,), clock=clock).complete(HELLO)
    assert [receipt.outcome for receipt in log] == ["exhausted"]


def test_a_stream_that_is_read_later_still_lands_in_its_block(clock):
    route = Route("chat", (ScriptedTarget("gpt", "one two", clock=clock),), clock=clock)
    with receipts() as log:
        stream = route.stream(HELLO)
        next(stream)
    assert not log
    assert stream.receipt.outcome == "open"
    list(stream)
    assert [receipt.outcome for receipt in log] == ["primary"]


def test_tasks_inherit_the_block_and_plain_threads_do_not(clock):
    route = Route("chat", (ScriptedTarget("gpt", clock=clock),), clock=clock)

    async def main():
        with receipts() as log:
            await asyncio.gather(route.acomplete(HELLO), route.acomplete(HELLO))
            await asyncio.to_thread(route.complete, HELLO)
            thread = threading.Thread(target=route.complete, args=(HELLO,))
            thread.start()
            thread.join(PATIENCE)
        return log

    assert len(asyncio.run(main())) == 3


def test_two_tasks_have_blocks_of_their_own(clock):
    route = Route("chat", (ScriptedTarget("gpt", clock=clock),), clock=clock)

    async def one(calls: int) -> int:
        with receipts() as log:
            for _ in range(calls):
                await asyncio.sleep(0)
                await route.acomplete(HELLO)
        return len(log)

    async def main():
        return await asyncio.gather(one(1), one(2), one(3))

    assert asyncio.run(main()) == [1, 2, 3]


# Events.


def test_listeners_hear_the_whole_story_in_order(clock):
    heard: list[events.Event] = []
    pilotlight.listeners.append(heard.append)
    gpt, full, local = (
        target("gpt", clock),
        target("full", clock, concurrency=1),
        target("local", clock),
    )
    full.health.bulkhead.enter(None)
    talk, recorder = flow([gpt, full, local], clock, stream=True)
    next(talk)
    talk.send(fails(Fault.TIMEOUT))
    talk.send(Opened())
    talk.close()
    names = [type(each).__name__ for each in heard]
    assert names == [
        "AttemptStarted", "AttemptEnded", "FailedOver", "TargetSkipped", "FailedOver",
        "AttemptStarted", "StreamOpened", "CallEnded",
    ]  # fmt: skip
    moves = [
        (e.from_target, e.to_target, e.reason) for e in heard if isinstance(e, events.FailedOver)
    ]
    assert moves == [("gpt", "full", "timeout"), ("full", "local", "saturated")]
    assert {getattr(e, "call_id", recorder.call_id) for e in heard} == {recorder.call_id}
    assert heard[-1].receipt.outcome == "abandoned"


def test_a_listener_that_raises_changes_nothing(clock, caplog):
    def broken(event):
        raise RuntimeError("bad listener")

    heard: list[events.Event] = []
    pilotlight.listeners.extend([broken, heard.append])
    route = Route("chat", (ScriptedTarget("gpt", clock=clock),), clock=clock)
    assert route.complete(HELLO).text == "ok"
    assert isinstance(heard[-1], events.CallEnded)
    assert "listener failed" in caplog.text


def test_a_listener_that_removes_itself_does_not_silence_the_next(clock):
    heard: list[str] = []

    def once(event):
        heard.append("once")
        pilotlight.listeners.remove(once)

    pilotlight.listeners.extend([once, lambda event: heard.append("always")])
    events.emit(events.AttemptStarted("id", "chat", "gpt", 0))
    events.emit(events.AttemptStarted("id", "chat", "gpt", 0))
    assert heard == ["once", "always", "always"]
