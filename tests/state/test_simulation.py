"""Fleets on a fake clock, by the breakers and boards of the product; the bench plays a thousand."""

from __future__ import annotations

from collections import Counter

import pytest
from sim import CALM, fleet

from pilotlight.state.memory import MemoryBoard


@pytest.mark.parametrize("number", [1, 16, 250])
def test_a_provider_dies_and_heals_under_a_fleet(clock, number):
    board = MemoryBoard(clock)
    processes = fleet(number, clock, board)
    hits: Counter[int] = Counter()
    dead, began = True, clock()

    def second(busy) -> None:
        for each in busy:
            hits[int(clock() - began)] += each.call(not dead)
        for each in processes:
            each.step()
        for each in busy:
            hits[int(clock() - began)] += each.call(not dead)
        clock.advance(1.0)

    # All make two calls a second: each finds out for itself, until the first trip is read.
    while any(each.state == "closed" for each in processes):
        second(processes)
    first = hits.total()
    assert first <= CALM.minimum_calls * number

    # Breaks of 15 s, with calls from changing tenths of the fleet.
    hits.clear()
    for turn in range(170):
        second(processes[turn % min(10, number) :: 10])
    assert 6 <= hits.total() <= 12
    assert max(hits.values()) == 1
    assert {each.state for each in processes} <= {"open"}

    dead = False
    hits.clear()
    while not hits.total():
        second(processes)
        assert clock() - began < 400
    for _ in range(2):  # seconds: told, and heard
        second(processes)
    assert {each.state for each in processes} == {"closed"}


def test_a_fleet_that_has_slept_through_the_break_does_not_wake_as_a_herd(clock):
    board = MemoryBoard(clock)
    processes = fleet(100, clock, board)
    processes[0].trip()
    for _ in range(300):  # nobody calls
        for each in processes:
            each.step()
        clock.advance(1.0)
    permits = 0
    for _ in range(3):  # all are called at one moment, and again: the first find no lease
        permits += sum(each.permit() is not None for each in processes)
        for each in processes:
            each.step()
        clock.advance(1.0)
    assert permits == 1


def test_processes_of_one_number_have_names_of_their_own(clock):
    """In containers each is process 1: a lease is told apart by the rest of the name alone."""
    board = MemoryBoard(clock)
    workers = {each.fleet.worker for each in fleet(2000, clock, board)}
    assert len(workers) == 2000
