"""Ctrl-C during an experiment: the first ends it in order, a second one ends it at once.

chaostoolkit takes KeyboardInterrupt for the end of its method, and then waits for its thread
that looks at the hypothesis, which nobody has told.  So the first Ctrl-C raises nothing where
a world is running: it aborts that, as the abort rule does, and whoever waits is woken.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from .current import current, is_built

WHY: Final = "interrupted by Ctrl-C"
PRESSED: Final = threading.Event()
_opening = threading.Event()  # a world is being built: that may be broken off anywhere


@contextmanager
def heeded() -> Iterator[None]:
    """Heed Ctrl-C in the block, in the main thread, unless it is ignored altogether."""
    before = signal.getsignal(signal.SIGINT)
    PRESSED.clear()
    if not callable(before):
        yield
        return

    def press(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        PRESSED.set()
        if is_built():
            current().abort(WHY)
        elif _opening.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def opening() -> Iterator[None]:
    """Build a world in the block: Ctrl-C raises KeyboardInterrupt there."""
    _opening.set()
    try:
        if PRESSED.is_set():
            raise KeyboardInterrupt
        yield
    finally:
        _opening.clear()
