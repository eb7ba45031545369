"""One breaker, many threads and tasks: who runs together, and who gets a trial."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pybreaker
import pytest
from kit import PATIENCE, breaker, half_open, in_threads

from pilotlight.core.breaker.breaker import Permit
from pilotlight.errors import CircuitOpen


def permit_of(guard) -> Permit | None:
    with contextlib.suppress(CircuitOpen):
        return guard.acquire()
    return None


def test_32_threads_are_inside_at_once(clock):
    guard = breaker(clock)
    inside = threading.Barrier(32)
    in_threads(32, lambda _: guard.call(inside.wait, PATIENCE))
    assert guard.state.window.calls == 32


def test_100_tasks_are_inside_at_once(clock):
    guard = breaker(clock)

    async def main():
        inside = asyncio.Barrier(100)

        async def one():
            with guard.acquire():
                await inside.wait()

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(one() for _ in range(100)))

    asyncio.run(main())
    assert guard.state.window.calls == 100


@pytest.mark.parametrize("places", [1, 3])
def test_exactly_n_of_64_threads_get_a_trial(clock, places):
    guard = half_open(clock, trial_calls=places)
    permits = [permit for permit in in_threads(64, lambda _: permit_of(guard)) if permit]
    assert len(permits) == places
    assert all(permit.trial for permit in permits)


@pytest.mark.parametrize("places", [1, 3])
def test_exactly_n_of_64_tasks_get_a_trial(clock, places):
    guard = half_open(clock, trial_calls=places)

    async def main():
        gate = asyncio.Event()
        refused = asyncio.Semaphore(0)

        async def one():
            try:
                with guard.acquire():
                    await gate.wait()
                    return "ran"
            except CircuitOpen:
                refused.release()
                return "refused"

        tasks = [asyncio.create_task(one()) for _ in range(64)]
        async with asyncio.timeout(PATIENCE):
            for _ in range(64 - places):
                await refused.acquire()
            gate.set()
            return await asyncio.gather(*tasks)

    assert asyncio.run(main()).count("ran") == places
    assert guard.current_state == "closed"


def test_threads_and_tasks_race_for_the_same_three_trials(clock):
    guard = half_open(clock, trial_calls=3)

    def work(index: int) -> list[Permit | None]:
        if index < 64:
            return [permit_of(guard)]

        async def one():
            await asyncio.sleep(0)
            return permit_of(guard)

        async def main():
            return await asyncio.gather(*(one() for _ in range(32)))

        return asyncio.run(main())

    got = [permit for found in in_threads(66, work) for permit in found if permit]
    assert len(got) == 3


def test_a_cancelled_task_gives_its_trial_back(clock):
    guard = half_open(clock)

    async def main():
        inside = asyncio.Event()

        async def one():
            with guard.acquire():
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(one())
        await inside.wait()
        with pytest.raises(CircuitOpen):
            guard.acquire()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    guard.acquire().success()
    assert guard.current_state == "closed"


def test_no_outcome_is_lost_between_threads(clock):
    guard = breaker(clock, minimum_calls=10**9, consecutive_failures=10**9)

    def work(index: int) -> None:
        for _ in range(200):
            permit = guard.acquire()
            permit.failure(OSError()) if index % 2 else permit.success()

    in_threads(8, work)
    assert (guard.state.window.calls, guard.state.window.failures) == (1600, 800)
    assert guard.current_state == "closed"


class Nosy(pybreaker.CircuitBreakerListener):
    """Asks the breaker back from another thread, as a listener that logs elsewhere would."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.stuck = False

    def ask(self, cb) -> None:
        if self.stuck:
            return  # the test has failed already: no need to wait again
        other = threading.Thread(target=lambda: self.seen.append(cb.state.name))
        other.start()
        other.join(PATIENCE)
        self.stuck |= other.is_alive()

    def state_change(self, cb, old_state, new_state) -> None:
        self.ask(cb)

    def failure(self, cb, exc) -> None:
        self.ask(cb)

    def success(self, cb) -> None:
        self.ask(cb)


def test_listeners_are_told_after_the_lock_is_let_go(clock):
    nosy = Nosy()
    guard = breaker(clock, minimum_calls=1, listeners=[nosy])
    guard.acquire().failure(OSError())
    clock.advance(15)
    guard.acquire().success()
    guard.trip("drill", 1.0)
    assert not nosy.stuck
    assert nosy.seen == ["open", "open", "half-open", "closed", "closed", "open"]


def test_a_listener_that_raises_does_no_harm(clock, caplog):
    told = []

    class Broken(pybreaker.CircuitBreakerListener):
        def state_change(self, cb, old_state, new_state):
            raise RuntimeError("bad listener")

    class After(pybreaker.CircuitBreakerListener):
        def state_change(self, cb, old_state, new_state):
            told.append((old_state.name, new_state.name))

    guard = breaker(clock, listeners=[Broken(), After()])
    guard.trip("drill", 1.0)
    assert told == [("closed", "open")]
    assert guard.current_state == "open"
    assert "listener" in caplog.text


def test_a_permit_released_inside_the_lock_by_the_collector_does_not_deadlock(clock):
    """Finalising an abandoned stream may happen anywhere, also while the lock is held."""
    guard = half_open(clock)
    trial = guard.acquire()
    with guard._guard:
        trial.release()
    guard.acquire().success()
    assert guard.current_state == "closed"
