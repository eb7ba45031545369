"""Which fault is set where, and whether it strikes this request.

A fault is set on a key: the name in the path (`/p/<name>/...`), a dialect, or `*`; the more
exact key is asked first.  Each set fault has its own seeded dice, so that a run can be repeated
whatever else is set, and its own time, which begins when it is set.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from .faults import DIALECTS, TCP, Act, Address, Delay, Fault, FaultError, Pace, Standing
from .http import Json

ANYONE = "*"


@dataclass(slots=True)
class Armed:
    """A fault as set: how often it can still strike, and its dice."""

    fault: Fault
    serial: int  # tells one setting of the same fault from the next
    dice: random.Random
    since: float  # when it was set, on the book's clock
    left: int | None
    to_skip: int
    struck: int = 0

    def roll(self, now: float) -> bool:
        if self.left == 0 or not self.fault.active(now - self.since):
            return False
        if self.to_skip:
            self.to_skip -= 1
            return False
        if self.dice.random() >= self.fault.rate:
            return False
        self.struck += 1
        if self.left is not None:
            self.left -= 1
        return True

    def stands(self, now: float) -> bool:
        """Say whether a state can be seen, without spending anything."""
        return self.left != 0 and self.fault.rate > 0 and self.fault.active(now - self.since)

    def as_json(self) -> Json:
        told = {"kind": self.fault.kind, **asdict(self.fault)}
        return told | {"left": self.left, "struck": self.struck}


@dataclass(slots=True)
class Drawn:
    """What strikes one request."""

    pace: Pace = field(default_factory=Pace)  # of all delays together
    delays: list[str] = field(default_factory=list)  # their kinds
    standing: list[Armed] = field(default_factory=list)
    final: Act | None = None  # at most one decides the outcome

    @property
    def kind(self) -> str | None:
        """The name to write into the record."""
        if self.final:
            return self.final.kind
        if self.standing:
            return self.standing[0].fault.kind
        return self.delays[0] if self.delays else None


class FaultBook:
    """The faults that are set now.  Safe to use from any thread."""

    def __init__(self, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seed = seed
        self._clock = clock
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._armed: dict[str, list[Armed]] = {}

    def arm(self, key: str, fault: Fault, *, add: bool = False) -> None:
        """Set a fault on a key, in place of what was set there or besides it."""
        if not key:
            raise FaultError("a fault needs a name, a dialect or '*' to be set on")
        if key in (*DIALECTS, TCP) and key not in fault.dialects:
            raise FaultError(f"{key} cannot have the fault {fault.kind!r}")
        if isinstance(fault, Address):  # it would never strike, and look as if all was well
            mend = f"give the client server.broken_base({key!r}, {fault.kind!r})"
            raise FaultError(f"{fault.kind!r} is a fault of the address, not of requests: {mend}")
        with self._lock:
            seed = self._seed if fault.seed is None else fault.seed
            dice = random.Random(f"{seed}/{key}/{fault.kind}")
            serial, now = next(self._serial), self._clock()
            armed = Armed(fault, serial, dice, now, fault.times, fault.skip)
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
        drawn, now = Drawn(), self._clock()
        with self._lock:
            for armed in self._candidates(name, dialect):
                if isinstance(armed.fault, Standing) and not of_model:
                    if armed.stands(now):
                        drawn.standing.append(armed)
                elif (of_model or armed.fault.everywhere) and armed.roll(now):
                    _add(drawn, armed)
                    if drawn.final:
                        break
        return drawn

    def _candidates(self, name: str, dialect: str) -> Iterator[Armed]:
        for key in dict.fromkeys((name, dialect, ANYONE)):
            for armed in self._armed.get(key, ()):
                if dialect in armed.fault.dialects:
                    yield armed

    def as_json(self) -> Json:
        with self._lock:
            return {key: [armed.as_json() for armed in each] for key, each in self._armed.items()}


def _add(drawn: Drawn, armed: Armed) -> None:
    match armed.fault:
        case Delay() as delay:
            drawn.pace += delay.pace(armed.dice)
            drawn.delays.append(delay.kind)
        case Standing():
            drawn.standing.append(armed)
        case Act() as act:
            drawn.final = act
