"""Forks and the background threads: a child inherits memory, but not the threads, nor their locks.

The gate is held while a background thread may hold a breaker's lock, and by whoever
forks: so a child never finds such a lock taken for good.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final


class Gate:
    """A lock that a fork waits for, and that is free in the child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._afresh: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def in_child(self, begin_afresh: Callable[[], None]) -> None:
        """Have this called in each forked child, before anything else there runs."""
        self._afresh.append(begin_afresh)

    def _forked(self) -> None:
        self._lock = threading.RLock()
        for begin_afresh in self._afresh:
            begin_afresh()


GATE: Final = Gate()

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=GATE.__enter__, after_in_parent=GATE.__exit__, after_in_child=GATE._forked
    )
