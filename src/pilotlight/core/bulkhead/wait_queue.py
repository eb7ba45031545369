"""Who waits, and who is next: by priority, by order of coming within it, and nobody for ever.

A higher priority goes first.  But one place in `TURN` goes to whoever has waited the
longest, whatever its priority: so every waiter moves up while places come free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

from pilotlight.vocabulary.operations import PRIORITIES, Priority

T = TypeVar("T")
TURN = 4  # every fourth place


class WaitQueue(Generic[T]):
    """Those who wait.  Only `behind` takes longer when they are many.  Not thread-safe."""

    def __init__(self) -> None:
        self._lanes: dict[Priority, OrderedDict[T, int]] = {p: OrderedDict() for p in PRIORITIES}
        self._numbers = count()
        self._called = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        """Yield everybody, in no order of service."""
        for lane in self._lanes.values():
            yield from lane

    def join(self, who: T, priority: Priority) -> None:
        """Stand at the end of the priority's lane."""
        self._lanes[priority][who] = next(self._numbers)

    def leave(self, who: T, priority: Priority) -> None:
        """Go away unserved; raises KeyError for one who does not stand there."""
        del self._lanes[priority][who]

    def call(self) -> T:
        """Take out who is next; expects that somebody is."""
        self._called += 1
        waiting = [lane for lane in self._lanes.values() if lane]
        lane = min(waiting, key=_oldest) if self._called % TURN == 0 else waiting[0]
        return lane.popitem(last=False)[0]

    def dismiss(self, priority: Priority) -> T | None:
        """Take out the newest of the lowest lane, if that is below this priority."""
        below = PRIORITIES[PRIORITIES.index(priority) + 1 :]
        lane = next((lane for p in reversed(below) if (lane := self._lanes[p])), None)
        return lane.popitem()[0] if lane else None

    def ahead(self, priority: Priority) -> int:
        """Return how many are served before one who joins now, if nobody higher comes later."""
        rank = PRIORITIES.index(priority) + 1
        before = sum(len(self._lanes[p]) for p in PRIORITIES[:rank])
        return _with_turns(before, len(self) - before)

    def behind(self, priority: Priority) -> Iterator[tuple[T, int]]:
        """Yield those of lower priorities, each with how many are served before it at most."""
        rank = PRIORITIES.index(priority) + 1
        before = sum(len(self._lanes[p]) for p in PRIORITIES[:rank])
        for lane in (self._lanes[p] for p in PRIORITIES[rank:]):
            below = len(self) - before - len(lane)
            for place, who in enumerate(lane):
                yield who, _with_turns(before + place, below)
            before += len(lane)


def _with_turns(before: int, below: int) -> int:
    """Add to those ahead the ones below whose turn, as the longest waiting, comes first."""
    return before + min(below, (before + 1) // (TURN - 1))


def _oldest(lane: OrderedDict[T, int]) -> int:
    return next(iter(lane.values()))
