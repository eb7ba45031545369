"""Which fault is set where, and whether it strikes this request.

A fault is set on a key: the name in the path (`/p/<name>/...`), a dialect, or `*`; the more
exact key is asked first.  Each set fault has its own seeded dice, so that a run can be repeated
whatever else is set.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from .faults import DIALECTS, KINDS, Fault, FaultError, Slow, Stage
from .http import Json

ANYONE = "*"


@dataclass(slots=True)
class Armed:
    """A fault as set: how often it can still strike, and its dice."""

    fault: Fault
    serial: int  # tells one setting of the same fault from the next
    dice: random.Random
    left: int | None
    struck: int = 0

    @property
    def stage(self) -> Stage:
        return KINDS[self.fault.kind].stage

    def roll(self) -> bool:
        if self.left == 0 or self.dice.random() >= self.fault.rate:
            return False
        self.struck += 1
        if self.left is not None:
            self.left -= 1
        return True


@dataclass(slots=True)
class Drawn:
    """What strikes one request."""

    delays: list[Slow] = field(default_factory=list)
    standing: list[Armed] = field(default_factory=list)
    final: Fault | None = None  # at most one decides the outcome

    @property
    def kind(self) -> str | None:
        """The name to write into the record."""
        if self.final:
            return self.final.kind
        if self.standing:
            return self.standing[0].fault.kind
        return self.delays[0].kind if self.delays else None


class FaultBook:
    """The faults that are set now.  Safe to use from any thread."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._armed: dict[str, list[Armed]] = {}

    def arm(self, key: str, fault: Fault, *, add: bool = False) -> None:
        """Set a fault on a key, in place of what was set there or besides it."""
        if not key:
            raise FaultError("a fault needs a name, a dialect or '*' to be set on")
        if key in DIALECTS and key not in KINDS[fault.kind].dialects:
            raise FaultError(f"{key} cannot have the fault {fault.kind!r}")
        with self._lock:
            dice = random.Random(f"{self._seed}/{key}/{fault.kind}")
            armed = Armed(fault, next(self._serial), dice, fault.times)
            self._armed[key] = [*(self._armed.get(key, []) if add else []), armed]

    def heal(self, key: str | None = None) -> None:
        """Remove the faults of a key, or all of them."""
        with self._lock:
            if key is None:
                self._armed.clear()
            else:
                self._armed.pop(key, None)

    def draw(self, name: str, dialect: str, *, of_model: bool) -> Drawn:
        """Decide what strikes a request.  Side requests spend nothing of a model fault."""
        drawn = Drawn()
        with self._lock:
            for armed in self._candidates(name, dialect):
                if armed.stage is Stage.STANDING and not of_model:
                    if armed.left != 0 and armed.fault.rate > 0:
                        drawn.standing.append(armed)
                elif (of_model or armed.fault.everywhere) and armed.roll():
                    _add(drawn, armed)
                    if drawn.final:
                        break
        return drawn

    def _candidates(self, name: str, dialect: str) -> Iterator[Armed]:
        for key in dict.fromkeys((name, dialect, ANYONE)):
            for armed in self._armed.get(key, ()):
                if dialect in KINDS[armed.fault.kind].dialects:
                    yield armed

    def as_json(self) -> Json:
        with self._lock:
            return {
                key: [asdict(a.fault) | {"left": a.left, "struck": a.struck} for a in each]
                for key, each in self._armed.items()
            }


def _add(drawn: Drawn, armed: Armed) -> None:
    if isinstance(armed.fault, Slow):
        drawn.delays.append(armed.fault)
    elif armed.stage is Stage.STANDING:
        drawn.standing.append(armed)
    else:
        drawn.final = armed.fault
