"""What was asked for lately, and no more: for what callers may ask for without end."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from pilotlight.core.fork import GATE

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `limit` values, each until it has not been asked for in `seconds`; thread-safe.

    `let_go` is told of each value that is dropped, outside the lock.
    """

    def __init__(
        self,
        limit: int,
        seconds: float,
        let_go: Callable[[V], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._let_go = let_go
        self._clock = clock
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self.forked()
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: nobody holds the lock there."""
        self._lock = threading.RLock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the value of a key, made if there is none."""
        with self._lock:
            now = self._clock()
            value = self._kept[key][0] if key in self._kept else make()
            self._kept[key] = (value, now)
            self._kept.move_to_end(key)
            over = self._overdue(now)
        for each in over:
            self._let_go(each)
        return value

    def _overdue(self, now: float) -> list[V]:
        """Take out what is too much, or too old; expects the lock."""
        over = []
        while self._kept:
            value, asked = next(iter(self._kept.values()))
            if len(self._kept) <= self._limit and now - asked <= self._seconds:
                break
            self._kept.popitem(last=False)
            over.append(value)
        return over

    def values(self) -> list[V]:
        """Return what is kept just now."""
        with self._lock:
            return [value for value, _ in self._kept.values()]
