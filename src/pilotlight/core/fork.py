"""Forks: a child inherits memory, but not the threads, nor their locks, nor their calls.

The gate is held while a background thread may hold a breaker's lock, and by whoever
forks: so a child never finds such a lock taken for good.  Calls hold no gate: what they may
have held at the fork, locks and places, is made anew in the child by its owner.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """What other threads may hold a part of when the process forks."""

    def forked(self) -> None:
        """In a forked child, before anything else runs there: take back what is held."""


class Gate:
    """A lock that a fork waits for, and that is free in the child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._afresh: list[Callable[[], None]] = []
        self._inherited: WeakSet[Inherited] = WeakSet()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def in_child(self, begin_afresh: Callable[[], None]) -> None:
        """Have this called in each forked child, before anything else there runs."""
        self._afresh.append(begin_afresh)

    def inherits(self, owner: Inherited) -> None:
        """Have `owner.forked` called in each forked child, as long as the owner lives."""
        self._inherited.add(owner)

    def _forked(self) -> None:
        self._lock = threading.RLock()
        for owner in list(self._inherited):
            owner.forked()
        for begin_afresh in self._afresh:
            begin_afresh()


GATE: Final = Gate()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=GATE.__enter__, after_in_parent=GATE.__exit__, after_in_child=GATE._forked
    )
