"""What the probes count: the calls since a mark, the healthy ones before, what was refused."""

from __future__ import annotations

from collections.abc import Iterable

from ..state import RequestRecord
from .current import current
from .notes import CallNote, Try
from .world import FAULT, World


def start_of(world: World, since: str) -> float | None:
    """Return the moment from which to count; None when its mark is not set yet."""
    if not world.marks:
        return world.baseline
    return world.marks.get(since)


def calls_since(since: str) -> list[CallNote]:
    """Return the calls that have begun since a mark; none before it is set."""
    world = current()
    began = start_of(world, since)
    calls = tuple(world.notes.calls)
    return [] if began is None else [call for call in calls if call.began >= began]


def baseline(world: World) -> list[CallNote]:
    """Return the healthy calls that have ended before the fault."""
    first = world.marks.get(FAULT, world.now())
    calls = (call for call in tuple(world.notes.calls) if call.began >= world.baseline)
    return [call for call in calls if call.ended is not None and call.ended < first]


def is_refused(record: RequestRecord) -> bool:
    """Tell whether a request was answered with an error's status."""
    return record.status is not None and record.status >= 400


def tries_at(target: str, since: str) -> list[Try]:
    """Return the attempts at a target of the calls since a mark."""
    return [each for call in calls_since(since) for each in call.tries if each.target == target]


def percentile(values: Iterable[float], percent: int) -> float:
    """Return a percentile by the nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] if ranked else 0.0
