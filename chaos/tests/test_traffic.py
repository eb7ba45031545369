"""The traffic of an experiment: it crowds a system that has stalled no further."""

from __future__ import annotations

import threading
import time

import pytest

from pilotlight_chaos.lab.doors import Door
from pilotlight_chaos.lab.notes import Notes
from pilotlight_chaos.lab.setting import Traffic
from pilotlight_chaos.lab.traffic import CROWD, Stream, answer_to

PLAN = Traffic("chat", "pilotlight", ("sync",), 200.0, False, 5.0, False)
PATIENCE = 30.0


class Provider:
    """Answers at once while it is well, and not at all when it is not."""

    def __init__(self) -> None:
        self.well = threading.Event()
        self.well.set()

    def ask(self, shape, prompt, hear):
        self.well.wait(PATIENCE)
        return answer_to(prompt)


class Ticks:
    """The clock, which tells how often the dispatcher has looked at it."""

    def __init__(self) -> None:
        self.seen = threading.Semaphore(0)

    def __call__(self) -> float:
        self.seen.release()
        return time.monotonic()

    def drop(self) -> None:
        while self.seen.acquire(blocking=False):
            pass

    def some(self, number: int) -> None:
        for _ in range(number):
            assert self.seen.acquire(timeout=PATIENCE)


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def traffic(provider, ticks):
    notes = Notes(time.monotonic, frozenset())
    stream = Stream(PLAN, Door(provider.ask, None), notes, ticks, seed=1)
    stream.start()
    yield stream
    provider.well.set()
    stream.close()


def test_no_crowd_gathers_while_a_second_baseline_is_waited_for(traffic, provider, ticks):
    assert traffic.wait_steady(12, PATIENCE)
    provider.well.clear()
    baseline = len(traffic.notes.calls) + 12
    waiting = threading.Thread(target=traffic.wait_steady, args=[baseline, PATIENCE])
    waiting.start()
    while traffic.under_way < CROWD:
        ticks.some(1)
    ticks.drop()
    ticks.some(10)  # whatever was just being begun
    before = traffic.under_way
    ticks.some(40)
    assert traffic.under_way == before
    provider.well.set()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
