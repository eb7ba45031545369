"""Blocks that say what holds inside them, wherever the code that stands in them runs.

A contextvar alone is not enough.  A generator may be resumed in another thread, task or copy of
a context, where its block is unknown, and it may end there, where a token can't be reset; and
two of them side by side end in any order.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_SUSPENDABLE: Final = (
    inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Generic[T]):
    """One block that was entered; `frame` names the suspendable function it stands in, 0: none."""

    value: T
    frame: int


class Blocks(Generic[T]):
    """The open blocks of one kind: those of a context, and those of the functions that run.

    A copy of a context keeps those it was made in: a task that was started inside a block is
    inside to its end.
    """

    def __init__(self, name: str) -> None:
        self.here: ContextVar[tuple[Entry[T], ...]] = ContextVar(name, default=())
        # The generators and coroutines in which a block stands open.  Such a function may be
        # resumed in a context that does not have its block; it then stands on the stack.  What is
        # said of one is changed by itself only, so there is no lock to be lost in a fork.
        self._frames: dict[int, tuple[Entry[T], ...]] = {}

    def __bool__(self) -> bool:
        """Tell whether the caller is inside a block."""
        return bool(self._open()) or (bool(self._frames) and any(self._running()))

    def values(self) -> Iterator[T]:
        """Yield what the blocks say that the caller is inside of, the outermost first."""
        here = self._open()
        if self._frames:
            yield from (entry.value for entry in self._running() if entry not in here)
        yield from (entry.value for entry in here)

    def enter(self, value: T, entries: list[Entry[T]], caller: FrameType) -> None:
        """Open a block; `entries` are those of one object, which several threads may enter."""
        entry = Entry(value, _suspendable(caller))
        if entry.frame:
            self._frames[entry.frame] = (*self._frames.get(entry.frame, ()), entry)
        entries.append(entry)
        self.here.set((*self._open(), entry))

    def leave(self, entries: list[Entry[T]], caller: FrameType) -> None:
        """End the block that the caller is in, of those in `entries`."""
        here = self._open()
        entry = _ended(entries, here, caller)
        entries.remove(entry)
        if entry.frame:
            left = tuple(e for e in self._frames.get(entry.frame, ()) if e is not entry)
            if left:
                self._frames[entry.frame] = left
            else:
                self._frames.pop(entry.frame, None)
        if entry in here:  # else a generator was ended in another context: that one is not ours
            self.here.set(tuple(e for e in here if e is not entry))

    def _open(self) -> tuple[Entry[T], ...]:
        return self.here.get() or ()

    def _running(self) -> Iterator[Entry[T]]:
        """Yield the blocks in which the functions stand that are running here, outermost last."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            yield from self._frames.get(id(frame), ())
            frame = frame.f_back


def _ended(entries: list[Entry[T]], here: tuple[Entry[T], ...], caller: FrameType) -> Entry[T]:
    """Return the entry that ends now: this context's, or that of the function that ends it."""
    mine = [entry for entry in entries if entry in here]
    frame = _suspendable(caller)
    same = [entry for entry in entries if entry.frame == frame]
    return [*entries, *same, *mine][-1]


def _suspendable(frame: FrameType | None) -> int:
    """Return the `id` of the frame that a `with` stands in, if it may be suspended; else 0."""
    while frame is not None and frame.f_globals.get("__name__") == "contextlib":
        frame = frame.f_back  # an ExitStack enters and leaves in the place of its owner
    if frame is None or not frame.f_code.co_flags & _SUSPENDABLE:
        return 0
    return id(frame)
