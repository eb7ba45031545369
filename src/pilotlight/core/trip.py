"""One call on its way: what it is, whom it may ask, by which policy, and who writes it down."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pilotlight.core.clock import Clock
from pilotlight.core.faults import Fault
from pilotlight.core.gameday import GameDays
from pilotlight.core.needs import Bulk
from pilotlight.core.receipt import Journal
from pilotlight.core.steps import Call, Report
from pilotlight.core.target import Target


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route decides for its calls.

    `on_broken_event` says whether an event of a stream that can't be read ends it, or is left
    out and the stream goes on without it.  `fail_over_on` adds faults whose rule is "by
    policy".  `rate_limit_wait` is the longest wait, in seconds, that a target may ask for and be
    waited for when nobody else can answer; `sit_out` the longest for which the first target is
    waited for although others could.  `accept` may refuse an answer, which then counts as a
    fault.
    """

    on_interrupt: Literal["raise", "restart"] = "raise"
    on_broken_event: Literal["interrupt", "skip"] = "interrupt"
    fail_over_on: frozenset[Fault] = frozenset()
    rate_limit_wait: float = 5.0
    sit_out: float = 0.0
    accept: Callable[[Any], bool] | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """One call on its way: what it is, whom it may ask, and who writes it down."""

    call: Call
    targets: Sequence[Target]
    policy: Policy
    clock: Clock
    journal: Journal
    random: Callable[[], float] = field(default=random.random)
    bulk: Bulk = field(default_factory=Bulk)
    game_days: GameDays | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A target was left without an answer: skipped, or asked in vain."""

    target: Target
    reason: str
    report: Report | None = None  # None: it was not asked
    shown: bool = False  # the caller has seen some of its text
    throttled: bool = False  # it says when to ask again
    cost: float = 0.0  # seconds that the attempt took
