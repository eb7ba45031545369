"""How long a target usually takes: what tells a call that is slow from one that is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TIMES: Final = 4.0  # the usual time is far beyond it
FLOOR: Final = 1.0  # seconds: below it a hiccup of the network looks like the end
MEMORY: Final = 32  # calls that the average goes back, about


class Average:
    """A moving mean of seconds.

    Not locked: of two notes at one moment one may be lost, which does no harm.
    """

    __slots__ = ("_notes", "far", "mean")

    def __init__(self) -> None:
        self._notes = 0
        self.mean = 0.0
        self.far: float | None = None  # from where on something is wrong; None: nothing is known

    def note(self, seconds: float) -> None:
        """Take account of one that went well."""
        self._notes = min(self._notes + 1, MEMORY)
        self.mean += (seconds - self.mean) / self._notes
        unsure = 1 + 2 / self._notes  # of a few, none may have been a long one
        self.far = max(FLOOR, TIMES * self.mean * unsure)


@dataclass(frozen=True, slots=True)
class Usual:
    """Of one target: the time to the first token of a stream, and to a whole unstreamed answer."""

    first_token: Average = field(default_factory=Average)
    answer: Average = field(default_factory=Average)
