"""How often the thread looks: once a second, sooner with news, never more than twice."""

from __future__ import annotations

import threading

import pytest
from loopback_redis import PATIENCE
from sim import Process, pass_time

from pilotlight.state import fleet as fleet_module
from pilotlight.state.fleet import GAP, Fleet
from pilotlight.state.member import REFRESH
from pilotlight.state.memory import MemoryBoard


class Waits:
    """Stands for the thread's events: notes what is waited for, and ends it after a few rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds, self.waited = rounds, []
        self.over = False

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.rounds -= 1
        self.over = self.rounds <= 0

    def is_set(self) -> bool:
        return self.over

    def clear(self) -> None:
        pass

    set = clear


def looked(process: Process, rounds: int = 5) -> tuple[list[float], list[float]]:
    """Run the thread's loop for some rounds; return its naps, and the gaps it kept."""
    naps, gaps = Waits(10**9), Waits(rounds)
    process.fleet._woken, process.fleet._halt = naps, gaps
    process.fleet._loop()
    return naps.waited, gaps.waited


def test_when_all_is_well_a_look_a_second(clock):
    naps, gaps = looked(Process(clock, MemoryBoard(clock)))
    assert len(naps) == len(gaps) == 5
    assert all(0.8 * REFRESH <= nap <= REFRESH for nap in naps)


def test_sooner_while_calls_wait_for_a_trial(clock):
    process = Process(clock, MemoryBoard(clock))
    process.trip()
    pass_time(clock, [process], 14, calls=[process])
    naps, gaps = looked(process)
    assert naps == []
    assert len(gaps) == 5


def test_never_more_than_twice_a_second(clock):
    assert 2 * GAP >= 1
    _, gaps = looked(Process(clock, MemoryBoard(clock)))
    assert all(0 < gap <= GAP for gap in gaps)  # the naps took no time at all


def test_a_broken_round_is_not_the_last(clock, monkeypatch, caplog):
    process = Process(clock, MemoryBoard(clock))
    monkeypatch.setattr(process.breaker.gate, "take", lambda *_: 1 / 0)
    _, gaps = looked(process)
    assert len(gaps) == 5
    assert "failed to work" in caplog.text


@pytest.mark.parametrize("moved", [True, False])
def test_a_breaker_that_moves_wakes_its_own_fleet(clock, monkeypatch, moved):
    process = Process(clock, MemoryBoard(clock))
    monkeypatch.setitem(fleet_module._fleets, "mine", process.fleet)
    woken = process.fleet._woken = threading.Event()
    if moved:
        process.trip()
    else:
        process.breaker.acquire().failure(OSError())
    fleet_module._moved(process.breaker)
    assert woken.is_set() is moved


def test_many_first_calls_start_one_thread(clock):
    made = Fleet(lambda: MemoryBoard(clock))
    process = Process(clock, MemoryBoard(clock))
    process.breaker.gate = None
    made.join("endpoint", process.health)
    start = threading.Barrier(8)

    def call() -> None:
        start.wait(PATIENCE)
        made.attend()

    callers = [threading.Thread(target=call) for _ in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join(PATIENCE)
    assert sum(each is made._thread for each in threading.enumerate()) == 1
    made.stop(PATIENCE)
    assert not made.running
