"""What is looked at when metrics are collected: breakers, bulkheads, the ends of models.

The registry is asked each time: nothing here holds a target that it has forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation

from pilotlight.core.target import Health
from pilotlight.diagnosis.retirement_notices import notice_in_table
from pilotlight.registry import Registry
from pilotlight.telemetry import names
from pilotlight.telemetry.words import PLACES, STATES, state

Look = Callable[[str, str, Health], Iterator[Observation]]  # a target's name, model and health


def observe(meter: Any, registry: Registry, record: Callable[[], None]) -> None:
    """Create the instruments, which look at this registry.

    The first is asked for the sake of being asked: `record` then writes to the histograms.
    """

    def before(_options: CallbackOptions) -> Iterable[Observation]:
        record()
        return ()

    kinds = {
        "observable": meter.create_observable_up_down_counter,
        "gauge": meter.create_observable_gauge,
    }
    for row, look in (
        (names.STATUS, breaker_states),
        (names.BULKHEAD_CALLS, bulkhead_calls),
        (names.BULKHEAD_LIMIT, bulkhead_limits),
        (names.RETIREMENT, retirements),
    ):
        looks: list[Callable[[CallbackOptions], Iterable[Observation]]]
        looks = [partial(_each, registry, look)]
        if row is names.STATUS:
            looks.insert(0, before)
        kinds[row.kind](row.name, looks, row.unit, row.meaning)


def _each(registry: Registry, look: Look, _options: CallbackOptions) -> Iterator[Observation]:
    """Look at each target; of several of one name, at the newest."""
    named = {str(each.breaker.name): (at, each) for at, each in registry.records.items()}
    for name, (endpoint, health) in named.items():
        yield from look(name, endpoint.model, health)


def breaker_states(name: str, model: str, health: Health) -> Iterator[Observation]:
    """Yield 1 for the state that the breaker is in and 0 for the others."""
    current = state(health.breaker.state.name)
    for each in STATES:
        yield Observation(int(each == current), {names.TARGET: name, names.STATE: each})


def bulkhead_calls(name: str, model: str, health: Health) -> Iterator[Observation]:
    """Yield how many calls are in flight, and how many wait."""
    if (bulkhead := health.bulkhead) is not None:
        yield from _places(name, bulkhead.inside, bulkhead.waiting)


def bulkhead_limits(name: str, model: str, health: Health) -> Iterator[Observation]:
    """Yield how many may be in flight, and how many may wait."""
    if (bulkhead := health.bulkhead) is not None:
        yield from _places(name, bulkhead.concurrency, bulkhead.queue)


def retirements(name: str, model: str, health: Health) -> Iterator[Observation]:
    """Yield the days that are left of a model, where somebody has announced its end."""
    notice = health.lifecycle.notice or notice_in_table(model)
    if notice is not None and not model.startswith("ollama"):  # one's own disk keeps its models
        left = notice.days_left(datetime.now(UTC).date())
        yield Observation(left, {names.TARGET: name, names.SOURCE: notice.source})


def _places(name: str, *counts: int) -> Iterator[Observation]:
    for place, count in zip(PLACES, counts, strict=True):
        yield Observation(count, {names.TARGET: name, names.PLACE: place})
