"""A thousand processes, simulated: the product's own breakers and fleets, on a fake clock."""

from __future__ import annotations

from benchmarks.rows import Row
from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.target import Health
from pilotlight.errors import CircuitOpen
from pilotlight.state.fleet import Fleet
from pilotlight.state.memory import MemoryBoard
from pilotlight.testing import FakeClock

PROCESSES = 1000
OUTAGE = 120  # seconds after all are open
DUE = 8  # breaks in it


class _Simulated:
    """One process: a breaker, its end of the board, and calls."""

    def __init__(self, clock: FakeClock, board: MemoryBoard) -> None:
        self.breaker = Breaker("gpt", BreakerPolicy(), clock=clock)
        self._health = Health(self.breaker, RetryBudget(0.2, 3))
        self.fleet = Fleet(lambda: board)
        self.fleet.join("endpoint", self._health)

    def call(self, well: bool) -> int:
        """Return 1 if the call reached the provider."""
        try:
            permit = self.breaker.acquire()
        except CircuitOpen:
            return 0
        if well:
            permit.success()
        else:
            permit.failure()
        return 1


def simulated() -> Row:
    """Let a provider die and heal; each process looks once and calls once a second."""
    clock = FakeClock()
    board = MemoryBoard(clock)
    processes = [_Simulated(clock, board) for _ in range(PROCESSES)]

    def second(well: bool) -> int:
        clock.advance(1.0)
        for each in processes:
            each.fleet.step()
        return sum(each.call(well) for each in processes)

    def share(state: str) -> int:
        return sum(each.breaker.state.name == state for each in processes)

    first = 0
    while share("closed"):
        first += second(well=False)
    trials = [second(well=False) for _ in range(OUTAGE)]
    while not share("closed"):
        second(well=True)
    closing = 0
    while share("closed") < PROCESSES:
        second(well=True)
        closing += 1
    allowed = BreakerPolicy().minimum_calls * PROCESSES
    good = first <= allowed and max(trials) <= 1 and sum(trials) <= DUE and closing <= 2
    return Row(
        f"{PROCESSES} simulated processes, {OUTAGE} s of outage",
        f"{first} requests until all are open, then {sum(trials)} trials; "
        f"all closed {closing} s after the good one",
        f"<= {allowed}, then 1 a break ({DUE} breaks due), <= 2 s",
        good,
        values={"first": first, "trials": sum(trials), "closing": closing},
    )
