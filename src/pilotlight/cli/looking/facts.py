"""The facts of a configuration, as `status --json` and `doctor --json` print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pilotlight.health.lifecycle import Outlook
from pilotlight.state.facts import FleetFacts

State = Literal[
    "loaded", "installed", "missing", "cloud", "cant_chat", "unreachable",
    "ok", "reachable", "auth_failed", "no_key", "retired", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Context:
    """Tokens: what calls ask for, what the model is loaded with, what it was trained for."""

    sent: int | None = None
    loaded: int | None = None
    trained: int | None = None

    @property
    def expected(self) -> int | None:
        """What a server loads when it is asked: never more than the model was trained for."""
        return min(self.sent, self.trained) if self.sent and self.trained else self.sent

    @property
    def capped(self) -> bool:
        """Whether calls ask for more than the model was trained for, as far as is known."""
        return self.sent != self.expected

    @property
    def differs(self) -> bool:
        """Whether it is known to be loaded otherwise than calls will ask for."""
        return None not in (self.loaded, self.expected) and self.loaded != self.expected


@dataclass(frozen=True, slots=True)
class Looked:
    """When the target was looked at, and how many seconds that took."""

    at: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Retirement:
    """The end of a model, where one is known; `source` says who announced it."""

    day: str | None
    days: int | None
    source: str | None
    replacement: str | None

    @classmethod
    def of(cls, ahead: Outlook) -> Retirement:
        """Put an outlook into words that JSON knows."""
        day = ahead.day.isoformat() if ahead.day else None
        return cls(day, ahead.days, ahead.source or None, ahead.replacement)


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One target; None is what is not known, `slots` None also what has no limit."""

    name: str
    model: str
    state: State
    local: bool
    address: str
    key: str
    slots: int | None
    queue: int | None
    server: str | None = None
    runs_on: str | None = None
    context: Context = Context()
    size: int | None = None
    vram_share: float | None = None
    check: Looked | None = None
    retirement: Retirement = Retirement(None, None, None, None)
    problem: str | None = None
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route; `gaps` is what the later targets can't do that the first one can."""

    name: str
    targets: tuple[str, ...]
    total_timeout: float | None
    private: bool
    gaps: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class DrillFacts:
    """A game day that is under way; `until` in ISO form, `told` says it all in a line."""

    id: str
    target: str
    route: str | None
    rate: float
    until: str
    told: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All of a configuration; `litellm` is why it can't be imported, if so.

    `fleet` is None where processes share nothing; `config` is the file that is in force.
    """

    targets: tuple[TargetFacts, ...]
    routes: tuple[RouteFacts, ...]
    litellm: str | None
    fleet: FleetFacts | None = None
    drills: tuple[DrillFacts, ...] = ()
    drill_problem: str | None = None  # why the drill file is ignored
    config: str | None = None
