"""Faults forced on purpose, inside this process: for tests.

A drill answers in the place of a target: the call goes down the whole road, the
breaker counts, the call fails over, but nothing is sent.  It can only make a
target fail, never lift a refusal, so residency is out of its reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotlight.core.provider import Failed, Report
from pilotlight.errors import ProviderFault
from pilotlight.vocabulary.faults import Fault

if TYPE_CHECKING:
    from pilotlight.core.target import Target


@dataclass(eq=False, slots=True)
class Drill:
    """One forced fault; `hits` counts the attempts it answered.

    `pattern` is a target's name, a model, or a provider (`openai`).
    """

    pattern: str
    fault: Fault
    retry_after: float | None = None
    hits: int = 0

    def matches(self, target: Target) -> bool:
        """Tell whether the target is meant."""
        return self.pattern in (target.name, target.model, target.model.partition("/")[0])


active: list[Drill] = []
"""The drills under way in this process."""


@contextmanager
def drill(pattern: str, fault: Fault, retry_after: float | None = None) -> Iterator[Drill]:
    """Make every attempt at the matching targets fail with `fault` inside the block."""
    one = Drill(pattern, fault, retry_after)
    active.append(one)
    try:
        yield one
    finally:
        active.remove(one)


def outcome_for(target: Target) -> Failed | None:
    """Return the failure that a drill forces on this target, if one does."""
    for one in tuple(active):  # another thread may end one
        if one.matches(target):
            one.hits += 1
            error = ProviderFault(one.fault, target.name, "forced by a drill")
            return Failed(Report(one.fault, error, one.retry_after, evidence="drill"))
    return None
