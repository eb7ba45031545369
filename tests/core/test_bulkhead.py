"""The bulkhead: how many at once, who is next, who is sent away, and who wakes whom."""

from __future__ import annotations

import asyncio
import threading

import pytest
from kit import PATIENCE, in_threads

from pilotlight.core import drivers
from pilotlight.core.bulkhead import Bulkhead, Ticket
from pilotlight.core.steps import Queue


def states(*tickets: Ticket) -> list[str]:
    return [ticket.state for ticket in tickets]


def test_lets_in_so_many_queues_so_many_and_refuses_the_rest(clock):
    bulkhead = Bulkhead(2, 1, clock)
    tickets = [bulkhead.enter(None) for _ in range(4)]
    assert states(*tickets) == ["granted", "granted", "waiting", "refused"]
    assert (bulkhead.inside, bulkhead.waiting) == (2, 1)


def test_first_come_first_served(clock):
    bulkhead = Bulkhead(1, 9, clock)
    first, *others = [bulkhead.enter(None) for _ in range(4)]
    order: list[int] = []
    for number, ticket in enumerate(others):
        ticket.when_granted(lambda number=number: order.append(number))
    first.release()
    for ticket in others:
        ticket.release()
    assert order == [0, 1, 2]


def test_a_newcomer_does_not_jump_the_queue(clock):
    bulkhead = Bulkhead(1, 9, clock)
    first, second = bulkhead.enter(None), bulkhead.enter(None)
    first.release()
    third = bulkhead.enter(None)
    assert states(second, third) == ["granted", "waiting"]


def test_giving_back_twice_does_nothing(clock):
    bulkhead = Bulkhead(1, 2, clock)
    first, second, third = (bulkhead.enter(None) for _ in range(3))
    first.release(), first.release()
    assert states(first, second, third) == ["returned", "granted", "waiting"]
    assert (bulkhead.inside, bulkhead.waiting) == (1, 1)


def test_a_refused_ticket_has_nothing_to_give_back(clock):
    bulkhead = Bulkhead(1, 0, clock)
    bulkhead.enter(None)
    bulkhead.enter(None).release()
    assert bulkhead.inside == 1


def test_one_who_leaves_the_queue_makes_room_in_it(clock):
    bulkhead = Bulkhead(1, 2, clock)
    first, second, third = (bulkhead.enter(None) for _ in range(3))
    second.release()
    assert states(bulkhead.enter(None)) == ["waiting"]
    first.release()
    assert states(second, third) == ["returned", "granted"]


def test_whoever_could_not_be_served_in_time_is_refused_at_once(clock):
    bulkhead = Bulkhead(2, 9, clock)
    for _ in range(3):  # each takes ten seconds
        ticket = bulkhead.enter(None)
        clock.advance(10)
        ticket.release()
    bulkhead.enter(None), bulkhead.enter(None)
    assert bulkhead.enter(4.9).state == "refused"
    assert bulkhead.enter(5.0).state == "waiting"  # two places, ten seconds each
    refused = bulkhead.enter(9.9)
    assert (refused.state, refused.retry_after) == ("refused", 10.0)
    assert bulkhead.enter(None).state == "waiting"


def test_the_service_time_follows_the_newest(clock):
    bulkhead = Bulkhead(1, 9, clock)
    for seconds in (10.0, 20.0):
        ticket = bulkhead.enter(None)
        clock.advance(seconds)
        ticket.release()
    assert bulkhead.expected_wait(0) == pytest.approx(12.0)


def test_more_room_lets_the_waiting_in_at_once(clock):
    bulkhead = Bulkhead(1, 9, clock)
    _first, second, third = (bulkhead.enter(None) for _ in range(3))
    woken: list[str] = []
    second.when_granted(lambda: woken.append("second"))
    bulkhead.configure(2, 9)
    assert states(second, third) == ["granted", "waiting"]
    assert woken == ["second"]


def test_less_room_takes_nobodys_place(clock):
    bulkhead = Bulkhead(2, 9, clock)
    first, second, third = (bulkhead.enter(None) for _ in range(3))
    bulkhead.configure(1, 9)
    first.release()
    assert states(second, third) == ["granted", "waiting"]
    second.release()
    assert third.state == "granted"


def test_a_place_granted_before_anybody_waits_wakes_at_once(clock):
    bulkhead = Bulkhead(1, 9, clock)
    first, second = bulkhead.enter(None), bulkhead.enter(None)
    first.release()
    woken: list[bool] = []
    second.when_granted(lambda: woken.append(True))
    assert woken == [True]


# With drivers that really wait.


def test_a_waiter_whose_event_loop_is_gone_passes_its_place_on(clock):
    bulkhead = Bulkhead(1, 9, clock)
    first, lost, third = (bulkhead.enter(None) for _ in range(3))

    async def wait_and_die():
        task = asyncio.ensure_future(drivers._await(Queue(lost, None)))
        await asyncio.sleep(0)
        assert lost._wake is not None
        wake = lost._wake
        task.cancel()
        return wake

    asyncio.run(wait_and_die())
    first.release()  # wakes `lost`, whose loop is closed by now
    assert states(lost, third) == ["returned", "granted"]
    assert bulkhead.inside == 1


def test_a_wait_that_runs_out_leaves_the_ticket_waiting(clock):
    bulkhead = Bulkhead(1, 9, clock)
    _first, second, third = (bulkhead.enter(None) for _ in range(3))
    drivers._wait(Queue(second, 0.0))
    asyncio.run(drivers._await(Queue(third, 0.0)))
    assert states(second, third) == ["waiting", "waiting"]


def test_threads_and_tasks_share_the_places(clock):
    bulkhead = Bulkhead(3, 1000, clock)
    lock = threading.Lock()
    inside = most = 0

    def visit(by: int) -> None:
        nonlocal inside, most
        with lock:
            inside += by
            most = max(most, inside)

    def in_thread() -> None:
        ticket = bulkhead.enter(None)
        if ticket.state == "waiting":
            drivers._wait(Queue(ticket, PATIENCE))
        assert ticket.state == "granted"
        visit(1), visit(-1)
        ticket.release()

    async def in_task() -> None:
        ticket = bulkhead.enter(None)
        if ticket.state == "waiting":
            await drivers._await(Queue(ticket, PATIENCE))
        assert ticket.state == "granted"
        visit(1)
        await asyncio.sleep(0)
        visit(-1)
        ticket.release()

    async def loop() -> None:
        await asyncio.gather(*(in_task() for _ in range(40)))

    in_threads(
        14, lambda index: asyncio.run(loop()) if index < 2 else [in_thread() for _ in range(20)]
    )
    assert most <= 3
    assert (bulkhead.inside, bulkhead.waiting) == (0, 0)


def test_a_grant_that_races_with_leaving_loses_no_place(clock):
    """The holder gives back while the next in line gives up, again and again."""
    bulkhead = Bulkhead(1, 9, clock)
    for _ in range(100):
        first, second = bulkhead.enter(None), bulkhead.enter(None)
        in_threads(2, lambda index, both=(first, second): both[index].release())
        assert (bulkhead.inside, bulkhead.waiting) == (0, 0)
