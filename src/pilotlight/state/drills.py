"""Drills for the whole fleet: posted on the board, and begun and ended in each process.

A drill can only make a target fail, never lift a refusal: residency is out of its reach.
It ends with its time, also in a process that can't reach the board any more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from pilotlight.core import drill
from pilotlight.core.faults import Fault
from pilotlight.state.board import LONGEST, Board, Entry, drop, put
from pilotlight.state.notice import DrillNotice, dump, read

_FIELD = "drill:"


def post_drill(board: Board, notice: DrillNotice, seconds: float) -> str:
    """Force a fault in every process for so many seconds, two hours at most; return the drill's id.

    Each process begins with its next look, within a second or so.  Raises ValueError for
    a time that is none, and what the store raises.
    """
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"a drill lasts more than 0 and at most {LONGEST:g} seconds")
    number = secrets.token_hex(4)
    board.exchange([put(_FIELD + number, dump(notice), seconds)])
    return number


def clear_drills(board: Board, number: str | None = None) -> int:
    """End one drill, or all; return how many.  Raises what the store raises."""
    found = {
        field: entry.value
        for field, entry in board.exchange().items()
        if field.startswith(_FIELD) and number in (None, field.removeprefix(_FIELD))
    }
    board.exchange([drop(field, value) for field, value in found.items()])
    return len(found)


def drills_on(entries: Mapping[str, Entry]) -> dict[str, tuple[DrillNotice, float]]:
    """Return the drills of an exchange by their ids, with the seconds that each has left."""
    read_all = (
        (field.removeprefix(_FIELD), read(DrillNotice, entry.value), entry.left)
        for field, entry in entries.items()
        if field.startswith(_FIELD)
    )
    return {number: (notice, left) for number, notice, left in read_all if notice is not None}


class Drills:
    """The board's drills that are under way in this process."""

    def __init__(self) -> None:
        self._on: dict[str, drill.Drill] = {}

    def take(self, entries: Mapping[str, Entry]) -> None:
        """Begin those that stand on the board, and end those that stand there no more."""
        posted = drills_on(entries)
        for number in self._on.keys() - posted.keys():
            self._end(self._on.pop(number))
        now = time.monotonic()
        for number, (notice, left) in posted.items():
            if number not in self._on:
                one = drill.Drill(
                    notice.pattern, Fault(notice.fault), notice.retry_after, rate=notice.rate
                )
                self._on[number] = one
                drill.active.append(one)
            self._on[number].until = now + left

    def end(self) -> None:
        """End all of them."""
        self.take({})

    @staticmethod
    def _end(one: drill.Drill) -> None:
        if one in drill.active:  # a test may have cleared it
            drill.active.remove(one)
