"""One call on its way: what it is, whom it may ask, by which policy, and who writes it down."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pilotlight.core.clock import Clock
from pilotlight.core.drills.schedule import GameDays
from pilotlight.core.flow.recorder import CallRecorder
from pilotlight.core.provider import Call, Report
from pilotlight.core.requirements import PromptSize
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.target import Target
from pilotlight.vocabulary.faults import Fault


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route decides for its calls.

    `on_broken_event` says whether an event of a stream that can't be read ends it, or is left
    out and the stream goes on without it.  `fail_over_on` adds faults whose rule is "by
    policy".  `rate_limit_wait` is the longest wait, in seconds, that a target may ask for and be
    waited for when nobody else can answer; `sit_out` the longest for which the first target is
    waited for although others could.  `accept` may refuse an answer, which then counts as a
    fault.  `gather` says when an unstreamed chat is streamed underneath, so that the clocks of a
    stream hold (`core/flow/gather.py`).
    """

    on_interrupt: Literal["raise", "restart"] = "raise"
    on_broken_event: Literal["interrupt", "skip"] = "interrupt"
    fail_over_on: frozenset[Fault] = frozenset()
    rate_limit_wait: float = 5.0
    sit_out: float = 0.0
    accept: Callable[[Any], bool] | None = None
    gather: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call on its way: what it is, whom it may ask, and who writes it down."""

    call: Call
    targets: Sequence[Target]
    policy: Policy
    clock: Clock
    recorder: CallRecorder
    random: Callable[[], float] = field(default=random.random)
    prompt_size: PromptSize = field(default_factory=PromptSize)
    game_days: GameDays | None = None
    budgets: tuple[Ledger, ...] = ()  # those that its calls are held to
    unable: dict[Target, str] = field(default_factory=dict)  # what each said of the call


SecondChance: TypeAlias = Literal["suspected", "throttled", "breaker_open"]
"""Why a target that was left may be visited once more, when nobody else has answered.

`suspected`: it was left for others, lest too many ask it at once.  `throttled`: it is well,
and says when to ask again.  `breaker_open`: only its breaker refused it, for calls that failed
before.
"""


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """A target was left without an answer: skipped, or asked in vain."""

    target: Target
    reason: str
    report: Report | None = None  # None: it was not asked
    shown: bool = False  # the caller has seen some of its text
    second_chance: SecondChance | None = None
    cost: float = 0.0  # seconds that the attempt took


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """A visit as it is planned: to whom, who stands behind, and why and after what wait again."""

    target: Target
    behind: Sequence[Target]
    second_chance: SecondChance | None = None
    wait: float | None = None  # seconds
