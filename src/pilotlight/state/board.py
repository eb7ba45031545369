"""What a store must be able to do: hold a few short notices for a while, for all who look.

A board is a table of fields, each with a value that is gone after its time.  One
`exchange` does some errands and returns all that is there: a single atomic step, and a
single round trip.  Time is the store's own: nobody's clock is compared with another's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

LONGEST: Final = 24 * 3600.0  # seconds that anything may stand on a board
MOST_FIELDS: Final = 10_000  # that are looked at
_FIELD, _VALUE = 64, 4096  # characters at most


class StoreError(Exception):
    """A store can't be used as it is; the message says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value on the board, its age, and the time it has left; in seconds by the store's clock."""

    value: str
    age: float
    left: float


def entries(rows: Iterable[Sequence[Any]]) -> Mapping[str, Entry]:
    """Return what a store holds, from rows of field, value, age and time left, whoever wrote it.

    A row of another shape or size than ours is left out; times are brought within bounds.
    """
    return {
        row[0]: Entry(row[1], _within(row[2]), _within(row[3])) for row in rows if _is_entry(row)
    }


def _is_entry(row: Sequence[Any]) -> bool:
    field, value, age, left = row
    texts = isinstance(field, str) and isinstance(value, str)
    times = isinstance(age, int | float) and isinstance(left, int | float)
    return texts and times and len(field) <= _FIELD and len(value) <= _VALUE and left > 0


def _within(seconds: float) -> float:
    return 0.0 if math.isnan(seconds) else min(max(0.0, seconds), LONGEST)


@dataclass(frozen=True, slots=True)
class Errand:
    """A change to one field; made by `put`, `claim` and `drop`."""

    kind: Literal["put", "claim", "drop"]
    field: str
    value: str
    seconds: float = 0.0

    def permits(self, held: str | None) -> bool:
        """Tell whether it may be done where the field holds this value (None: nothing)."""
        if self.kind == "put":
            return True
        return held == self.value or (self.kind == "claim" and held is None)


def put(field: str, value: str, seconds: float) -> Errand:
    """Write a field, whatever stood there."""
    return Errand("put", field, value, min(seconds, LONGEST))


def claim(field: str, value: str, seconds: float) -> Errand:
    """Write a field only if it is free, or holds this very value (which prolongs it)."""
    return Errand("claim", field, value, min(seconds, LONGEST))


def drop(field: str, value: str) -> Errand:
    """Empty a field, if it holds this value."""
    return Errand("drop", field, value)


class Board(Protocol):
    """A store.  Used by one thread at a time; raises what it likes when it is out of order."""

    def exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        """Do the errands in their order, then return all fields; in one atomic step.

        Takes a second at most.  Without errands nothing is written or made.
        """

    def close(self) -> None:
        """Let go of the store."""
