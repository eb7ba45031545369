"""What a route holds: with its first call, its targets begin to be looked after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotlight.core import background
from pilotlight.core.breaker import breaker
from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.target import Target
from pilotlight.health.prober import PROBER
from pilotlight.health.recovery import RECOVERY
from pilotlight.health.warmup import WARMER


class HealthMonitor:
    """One route's targets; called with each call, which costs a comparison."""

    __slots__ = ("_generation", "_targets")

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._generation = -1

    def __call__(self) -> None:
        """Make sure that the targets are being looked after, also in a forked child."""
        if self._generation != PROBER.generation:
            self._begin()

    def _begin(self) -> None:
        if not background.allowed():
            self._generation = PROBER.generation
            return
        if _trouble not in breaker.observers:
            breaker.observers.append(_trouble)
        WARMER.plan(self._targets)
        self._generation = PROBER.attend(self._targets)


def _trouble(failing: Breaker) -> None:
    """A breaker has a reason for doubt: look early, and light the next in line."""
    if failing.strain > 0 or failing.suspected:
        WARMER.trouble(failing)
    if failing.state.name == "open":
        PROBER.wake()


def forget(targets: Iterable[Target]) -> None:
    """Look after these targets no more, until they are called again."""
    given = tuple(targets)
    PROBER.forget(given)
    RECOVERY.forget(given)
    WARMER.forget(given)


def reset() -> None:
    """Forget everything, and let the thread end."""
    PROBER.reset()
    WARMER.reset()
    RECOVERY.stop()
    RECOVERY.reset()
