"""A board within one process: for tests and simulations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from pilotlight.state.board import Entry, Errand


class MemoryBoard:
    """A dict; thread-safe, so that many simulated processes may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[str, tuple[str, float, float]] = {}  # value, written, expires

    def exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        """See `Board`."""
        with self._lock:
            now = self._clock()
            self._slots = {name: slot for name, slot in self._slots.items() if slot[2] > now}
            for each in errands:
                held = self._slots.get(each.field)
                if not each.permits(held and held[0]):
                    continue
                if each.kind == "drop":
                    self._slots.pop(each.field, None)
                else:
                    self._slots[each.field] = (each.value, now, now + each.seconds)
            return {
                name: Entry(value, now - written, expires - now)
                for name, (value, written, expires) in self._slots.items()
                if expires > now
            }

    def close(self) -> None:
        """See `Board`."""
