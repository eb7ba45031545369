"""The demo's numbers, and how each is reckoned."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilotlight.cli.demo.notes import CallNote, Transition

if TYPE_CHECKING:
    from pilotlight.cli.demo.play import Play

STATES = ("open", "half-open", "closed")


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """Who answered the calls that began in one phase."""

    phase: str
    calls: int
    primary: int
    local: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The result of a play; times in seconds.

    `without` counts the calls that a plain client would have had answered: the
    first request to the primary was, or the breaker kept the call away from a
    primary that was well just then.  In the phase of 30% errors that is generous.
    """

    seconds: float
    seed: int
    local_model: str
    local_says: str
    calls: int
    answered: int
    without: int
    by_primary: int
    by_local: int
    dead_calls: int
    dead_hits: int
    added_median: float
    added_p95: float
    own_median: float
    phases: tuple[PhaseRow, ...]
    transitions: tuple[Transition, ...]
    states_seen: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every call was answered and the breaker was seen in all its states."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What was not as it should be."""
        found = [f"never seen: {state}" for state in STATES if state not in self.states_seen]
        if self.answered < self.calls:
            found.append(f"{self.calls - self.answered} calls were not answered")
            found += self.errors[:3]
        return found if self.calls else ["no call was made"]

    @property
    def verdict(self) -> str:
        """The result in one line."""
        if not self.ok:
            return f"{self.answered} of {self.calls} calls answered; not as it should be:"
        lost = self.calls - self.without
        return (
            f"all {self.calls} calls answered; without pilotlight {lost} of them would have failed"
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Return label, value and note of each number."""
        return [
            ("calls", str(self.calls), f"{self.by_primary} by primary, {self.by_local} by local"),
            ("answered", f"{self.answered} ({_share(self.answered, self.calls)})", ""),
            (
                "without pilotlight",
                f"{self.without} ({_share(self.without, self.calls)})",
                "a client of one try: primary answered, or was well while spared",
            ),
            (
                "requests to the dead API",
                f"{self.dead_hits} for {self.dead_calls} calls",
                "the breaker kept the rest away",
            ),
            (
                "time added to a call",
                f"{_ms(self.added_median)}, p95 {_ms(self.added_p95)}",
                "median; call less the attempt that answered",
            ),
            (
                "pilotlight itself",
                _ms(self.own_median),
                "median; call less all of its attempts",
            ),
            (
                "breaker transitions",
                str(len(self.transitions)),
                f"seen: {', '.join(self.states_seen) or 'none'}",
            ),
        ]


def tally(play: Play) -> Tally:
    """Reckon up a play that is over."""
    calls = sorted(play.notes.calls, key=lambda call: call.began)
    good = [call for call in calls if call.served_by]
    transitions = tuple(play.notes.transitions)
    seen = {change.new for change in transitions if change.target == "primary"}
    return Tally(
        seconds=play.script.seconds,
        seed=play.script.seed,
        local_model=play.local_model,
        local_says=play.local_says,
        calls=len(calls),
        answered=len(good),
        without=sum(call.first_try or (call.spared and call.well) for call in calls),
        by_primary=sum(call.served_by == "primary" for call in calls),
        by_local=sum(call.served_by == "local" for call in calls),
        dead_calls=sum(call.phase == "dead" for call in calls),
        dead_hits=play.dead_hits,
        added_median=_quantile([call.added for call in good], 50),
        added_p95=_quantile([call.added for call in good], 95),
        own_median=_quantile([call.own for call in good], 50),
        phases=tuple(_phase_row(phase.name, calls) for phase in play.script.phases),
        transitions=transitions,
        states_seen=tuple(state for state in STATES if state in seen),
        errors=tuple(dict.fromkeys(call.error for call in calls if call.error)),
    )


def _phase_row(name: str, calls: list[CallNote]) -> PhaseRow:
    own = [call.served_by for call in calls if call.phase == name]
    return PhaseRow(name, len(own), own.count("primary"), own.count("local"), own.count(""))


def _quantile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _share(part: int, whole: int) -> str:
    """Return a percentage that says 100 only when it is all."""
    percent = 100 * part / whole if whole else 0.0
    return f"{percent:.0f}%" if percent in (0, 100) else f"{min(percent, 99.9):.1f}%"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
