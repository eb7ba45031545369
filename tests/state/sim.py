"""A simulated process: the real breaker and the real fleet, stepped by hand on a fake clock."""

from __future__ import annotations

from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.target import Health
from pilotlight.errors import CircuitOpen
from pilotlight.state.fleet import Fleet

CALM = BreakerPolicy(minimum_calls=5, reset_timeout=15.0, max_reset_timeout=60.0)
KEY = "endpoint"


class Process:
    def __init__(self, clock, board, policy=CALM, key=KEY, wake=None) -> None:
        self.board = board
        breaker = Breaker("gpt", policy, clock=clock, chance=lambda: 0.5)
        self.health = Health(breaker, RetryBudget(0.2, 3))
        self.breaker = breaker
        self.fleet = Fleet(lambda: self.board, chance=lambda: 0.5)
        if wake is not None:
            self.fleet.wake = wake
        self.fleet.join(key, self.health)

    @property
    def state(self) -> str:
        return self.breaker.state.name

    def step(self) -> None:
        self.fleet.step()

    def permit(self):
        """As a call at the door: if it may wait for the lease, the fleet looks; a permit, or None."""
        if self.breaker.ask() is not None and (turn := self.breaker.turn()) is not None:
            self.step()
            turn.release()
        try:
            return self.breaker.acquire()
        except CircuitOpen:
            return None

    def call(self, well: bool) -> bool:
        """Make a call; return whether it reached the provider."""
        permit = self.permit()
        if permit is None:
            return False
        if well:
            permit.success()
        else:
            permit.failure(ConnectionError())
        return True

    def trip(self) -> int:
        """Call a dead provider until the breaker is open."""
        hits = 0
        while self.call(False):
            hits += 1
        return hits


def fleet(number, clock, board, policy=CALM) -> list[Process]:
    return [Process(clock, board, policy) for _ in range(number)]


def pass_time(clock, processes, seconds, calls=(), well=False) -> int:
    """Let seconds pass, with a look a second and then a call of each of `calls`; return the hits."""
    hits = 0
    for _ in range(int(seconds)):
        clock.advance(1.0)
        for each in processes:
            each.step()
        hits += sum(each.call(well) for each in calls)
    return hits
