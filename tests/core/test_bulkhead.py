"""The bulkhead: how many at once, who is next, who is sent away, and who wakes whom."""

from __future__ import annotations

import asyncio
import threading

import pytest
from kit import PATIENCE, in_threads

from pilotlight.core.bulkhead.bulkhead import UNMEASURED, Bulkhead, Ticket
from pilotlight.core.bulkhead.wait_queue import TURN
from pilotlight.core.clock import SYSTEM_CLOCK
from pilotlight.core.flow import drivers
from pilotlight.core.flow.steps import Queue
from pilotlight.testing import FakeClock


def states(*tickets: Ticket) -> list[str]:
    return [ticket.state for ticket in tickets]


def measured(concurrency: int, queue: int, clock: FakeClock, seconds: float) -> Bulkhead:
    """A bulkhead that has served one call, which took so long."""
    bulkhead = Bulkhead(concurrency, queue, clock)
    ticket = bulkhead.enter(None)
    clock.advance(seconds)
    ticket.served()
    return bulkhead


def service_time(bulkhead: Bulkhead) -> float:
    """What it takes a call of the one place to be served, as far as is known."""
    ticket = bulkhead.enter(None)
    try:
        return bulkhead.expected_wait()
    finally:
        ticket.release()


def turns(inside: Ticket, line: list[Ticket]) -> list[int]:
    """Let them in one after the other; return in which order they came."""
    order = []
    while len(order) < len(line):
        inside.release()
        inside = next(ticket for ticket in line if ticket.state == "granted")
        order.append(line.index(inside))
    return order


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
        ticket.when_settled(lambda number=number: order.append(number))
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
    bulkhead = measured(2, 9, clock, 10.0)
    bulkhead.enter(None)
    clock.advance(4)
    bulkhead.enter(None)
    # The first place comes free in six seconds, the second in ten; and serving takes ten.
    assert bulkhead.enter(15.9).state == "refused"
    first = bulkhead.enter(16.0)
    assert (first.state, first.patience) == ("waiting", 6.0)
    refused = bulkhead.enter(19.9)
    assert (refused.state, refused.refusal) == ("refused", "no time left")
    assert refused.retry_after == 10.0
    assert bulkhead.enter(None).state == "waiting"


def test_a_free_place_is_given_however_little_time_there_is(clock):
    assert measured(1, 9, clock, 10.0).enter(0.1).state == "granted"


@pytest.mark.parametrize(("running", "left"), [(4, 6), (10, 0), (13, 3), (60, 10)])
def test_a_call_that_is_overdue_may_take_as_much_again_but_hardly_more(clock, running, left):
    bulkhead = measured(2, 9, clock, 10.0)
    bulkhead.enter(None), bulkhead.enter(None)
    clock.advance(running)
    assert bulkhead.expected_wait() == left


def test_a_load_is_no_service(clock):
    bulkhead = Bulkhead(1, 9, clock)
    ticket = bulkhead.enter(None)
    clock.advance(30)
    ticket.served(loading=29.5)
    assert service_time(bulkhead) == 0.5


def test_nobody_is_served_while_a_load_is_under_way(clock):
    """Its end is estimated by the last one's; what it delays is not held against the service."""
    bulkhead = measured(1, 9, clock, 1.0)
    bulkhead.load_began()
    assert bulkhead.expected_wait() == 0.0  # who knows how long it will take
    clock.advance(8)
    bulkhead.load_ended(whole=True)
    bulkhead.enter(None)
    clock.advance(50)
    bulkhead.load_began()
    clock.advance(2)
    assert bulkhead.expected_wait() == 7.0
    refused, waiting = bulkhead.enter(7.9), bulkhead.enter(8.0)
    assert states(refused, waiting) == ["refused", "waiting"]


@pytest.mark.parametrize("served", [True, False])
def test_what_a_load_delayed_is_not_held_against_the_service(clock, served):
    bulkhead = measured(1, 9, clock, 1.0)
    bulkhead.load_began()
    ticket = bulkhead.enter(None)
    clock.advance(20)
    bulkhead.load_ended(whole=False)
    clock.advance(1)
    ticket.served() if served else ticket.release()
    assert service_time(bulkhead) == 1.0
    bulkhead.load_began()
    assert bulkhead.expected_wait() == 0.0  # one that was broken off tells nothing of the next


def test_who_is_refused_before_anything_was_measured_is_told_a_time_all_the_same(clock):
    bulkhead = Bulkhead(1, 0, clock)
    bulkhead.enter(None)
    assert bulkhead.enter(None).retry_after == UNMEASURED


def test_the_service_time_follows_the_newest(clock):
    bulkhead = Bulkhead(1, 9, clock)
    for seconds in (10.0, 20.0, 15.0, 15.0, 15.0, 20.0):  # the first few count alike
        ticket = bulkhead.enter(None)
        clock.advance(seconds)
        ticket.served()
    assert service_time(bulkhead) == pytest.approx(16.0)


def test_a_call_that_failed_at_once_or_was_cancelled_does_not_fool_the_measure(clock):
    bulkhead = measured(1, 9, clock, 10.0)
    for seconds in (0.001, 9.0):
        ticket = bulkhead.enter(None)
        clock.advance(seconds)
        ticket.release()
    assert service_time(bulkhead) == 10.0


def test_a_call_that_was_broken_off_late_tells_that_serving_takes_longer(clock):
    bulkhead = measured(1, 9, clock, 10.0)
    ticket = bulkhead.enter(None)
    clock.advance(20)
    ticket.release()
    assert service_time(bulkhead) == pytest.approx(12.0)
    lost = bulkhead.enter(None)
    clock.advance(1000)
    lost.release()
    assert service_time(bulkhead) == pytest.approx(14.4)  # one alone does not make it a hundred


def test_without_an_answer_nothing_is_measured(clock):
    bulkhead = Bulkhead(1, 9, clock)
    ticket = bulkhead.enter(None)
    clock.advance(20)
    ticket.release()
    assert service_time(bulkhead) == 0.0


def test_serving_counts_once(clock):
    bulkhead = Bulkhead(1, 9, clock)
    ticket = bulkhead.enter(None)
    clock.advance(10)
    ticket.served()
    clock.advance(50)
    ticket.release(), ticket.served()
    assert (service_time(bulkhead), bulkhead.inside) == (10.0, 0)


# Priorities.


def test_a_higher_priority_is_served_first_and_within_one_who_came_first(clock):
    bulkhead = Bulkhead(1, 9, clock)
    inside = bulkhead.enter(None)
    line = [bulkhead.enter(None, p) for p in ("low", "normal", "high", "normal", "high")]
    assert turns(inside, line)[:3] == [2, 4, 1]


def test_nobody_waits_for_ever(clock):
    """However many of a higher priority come, one place in four goes to who waited longest."""
    bulkhead = Bulkhead(1, 99, clock)
    inside = bulkhead.enter(None)
    low = bulkhead.enter(None, "low")
    highs = [bulkhead.enter(None, "high") for _ in range(20)]
    assert turns(inside, [low, *highs]).index(0) == TURN - 1


def test_a_full_queue_sheds_the_newest_of_the_lowest_priority(clock):
    bulkhead = Bulkhead(1, 4, clock)
    bulkhead.enter(None)
    line = [bulkhead.enter(None, p) for p in ("low", "normal", "low", "normal")]
    woken: list[int] = []
    for number, ticket in enumerate(line):
        ticket.when_settled(lambda number=number: woken.append(number))
    high = bulkhead.enter(None, "high")
    assert (high.state, woken, line[2].refusal) == ("waiting", [2], "displaced")
    assert states(*line) == ["waiting", "waiting", "refused", "waiting"]
    assert line[2].retry_after > 0
    assert bulkhead.waiting == 4


def test_nobody_is_shed_for_an_equal_or_a_lower_call(clock):
    bulkhead = Bulkhead(1, 2, clock)
    bulkhead.enter(None)
    line = [bulkhead.enter(None, "normal") for _ in range(2)]
    newcomers = [bulkhead.enter(None, "normal"), bulkhead.enter(None, "low")]
    assert states(*line, *newcomers) == ["waiting", "waiting", "refused", "refused"]
    assert {ticket.refusal for ticket in newcomers} == {"queue full"}


def test_nobody_is_shed_for_one_who_would_come_too_late(clock):
    bulkhead = measured(1, 1, clock, 10.0)
    bulkhead.enter(None)
    low = bulkhead.enter(None, "low")
    assert bulkhead.enter(19.9, "high").state == "refused"
    assert low.state == "waiting"


def test_who_is_made_too_late_by_a_higher_one_is_shed_at_once(clock):
    bulkhead = measured(1, 99, clock, 10.0)
    bulkhead.enter(None)
    patient, hasty = bulkhead.enter(None, "low"), bulkhead.enter(30.0, "low")
    assert states(patient, hasty) == ["waiting", "waiting"]
    woken: list[str] = []
    hasty.when_settled(lambda: woken.append("hasty"))
    bulkhead.enter(None, "low")
    assert hasty.state == "waiting"  # an equal one comes behind it
    bulkhead.enter(None, "normal")
    assert (states(patient, hasty), hasty.refusal) == (["waiting", "refused"], "displaced")
    assert (woken, bulkhead.waiting) == (["hasty"], 3)
    hasty.release()
    assert bulkhead.waiting == 3


def test_one_shed_for_want_of_time_makes_room_for_the_newcomer(clock):
    bulkhead = measured(1, 2, clock, 10.0)
    bulkhead.enter(None)
    hasty, patient = bulkhead.enter(20.0, "low"), bulkhead.enter(None, "low")
    high = bulkhead.enter(None, "high")
    assert states(hasty, patient, high) == ["refused", "waiting", "waiting"]


def test_the_wait_counts_those_who_would_be_served_before(clock):
    bulkhead = measured(1, 99, clock, 10.0)
    bulkhead.enter(None)
    for priority in ("low", "low", "normal", "high"):
        bulkhead.enter(None, priority)
    waits = [bulkhead.expected_wait(p) for p in ("high", "normal", "low")]
    # In the highest lane one is ahead, in the next two and by the fourth place one more.
    assert waits == [20.0, 40.0, 50.0]


@pytest.mark.parametrize("shape", ["sync", "async"])
def test_who_is_displaced_is_woken_at_once(shape):
    """The waiter has a time-out far away and ends by the wake alone."""
    bulkhead = Bulkhead(1, 1, SYSTEM_CLOCK)
    bulkhead.enter(None)
    ticket = bulkhead.enter(None, "low")

    def wait() -> None:
        if shape == "sync":
            drivers._wait(Queue(ticket, None), SYSTEM_CLOCK)
        else:
            asyncio.run(drivers._await(Queue(ticket, None), SYSTEM_CLOCK))

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    bulkhead.enter(None, "high")
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
    assert ticket.state == "refused"


def test_more_room_lets_the_waiting_in_at_once(clock):
    bulkhead = Bulkhead(1, 9, clock)
    _first, second, third = (bulkhead.enter(None) for _ in range(3))
    woken: list[str] = []
    second.when_settled(lambda: woken.append("second"))
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
    second.when_settled(lambda: woken.append(True))
    assert woken == [True]


# With drivers that really wait.


def test_a_waiter_whose_event_loop_is_gone_passes_its_place_on(clock):
    bulkhead = Bulkhead(1, 9, clock)
    first, lost, third = (bulkhead.enter(None) for _ in range(3))

    async def wait_and_die():
        task = asyncio.ensure_future(drivers._await(Queue(lost, None), clock))
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
    drivers._wait(Queue(second, 0.0), clock)
    asyncio.run(drivers._await(Queue(third, 0.0), clock))
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
            drivers._wait(Queue(ticket, PATIENCE), SYSTEM_CLOCK)
        assert ticket.state == "granted"
        visit(1), visit(-1)
        ticket.release()

    async def in_task() -> None:
        ticket = bulkhead.enter(None)
        if ticket.state == "waiting":
            await drivers._await(Queue(ticket, PATIENCE), SYSTEM_CLOCK)
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
