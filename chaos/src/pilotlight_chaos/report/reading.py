"""Reads journals: which figure each probe measured, and whether a run went as it should.

A run of an experiment should complete without a deviation.  Its negative control should
deviate, and at the probe that the experiment names: another one would be another reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class JournalError(ValueError):
    """A file that is no journal of an experiment of ours; the message names it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One probe of the hypothesis: its figure at the end, and the bounds it should keep.

    `figure` is None when the probe was not reached, because one before it deviated.
    """

    name: str
    bounds: tuple[float, float]
    figure: float | None
    met: bool

    @property
    def threshold(self) -> str:
        """The bounds in words."""
        low, high = self.bounds
        if low == high:
            return f"{high:g}"
        return f"≥ {low:g}" if high == 1 and low > 0 else f"≤ {high:g}"

    @property
    def shown(self) -> str:
        """The figure in words."""
        return "" if self.figure is None else f"{self.figure:g}"


@dataclass(frozen=True, slots=True)
class Run:
    """One journal."""

    name: str
    title: str
    hypothesis: str
    description: str
    negative: bool
    seed: int
    status: str
    deviated: bool
    aborted: str
    broken: str  # the first action that failed, so that the fault was not played
    measures: tuple[Measure, ...]
    expected: str  # the probe at which the negative control should deviate
    switched_off: str
    looks: int  # how often the hypothesis was checked during the fault
    rolled_back: bool
    duration: float
    seen: Json  # the traffic, the breakers, the fault windows

    @property
    def number(self) -> str:
        """The digits at the start of the name."""
        return self.name.partition("-")[0]

    @property
    def deviating(self) -> str:
        """The first probe that was out of its bounds; empty when none was."""
        return next((each.name for each in self.measures if not each.met), "")

    @property
    def ok(self) -> bool:
        """Whether it went as it should."""
        if self.status != "completed" or not self.rolled_back:
            return False
        if self.negative:
            return self.deviated and self.deviating == self.expected
        return not self.deviated

    @property
    def outcome(self) -> str:
        """What happened, in a few words."""
        if self.aborted:
            return f"aborted: {self.aborted}"
        if self.broken:
            return f"failed: the action {self.broken!r} failed"
        if self.deviated:
            return f"deviated: {self.deviating}"
        if self.status != "completed":
            return f"{self.status}: {self.deviating}".rstrip(": ")
        return "held" if self.rolled_back else "held, but was not rolled back"


@dataclass(frozen=True, slots=True)
class Pair:
    """An experiment and its negative control, of one seed; either may be absent."""

    run: Run | None
    control: Run | None

    @property
    def any(self) -> Run:
        """Whichever there is."""
        found = self.run or self.control
        assert found is not None
        return found

    @property
    def ok(self) -> bool:
        """Whether all that was run went as it should."""
        return all(each.ok for each in (self.run, self.control) if each is not None)


def read(path: Path) -> Run:
    """Read a journal file; raises JournalError."""
    try:
        journal = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise JournalError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:
        raise JournalError(f"{path}: is no JSON") from None
    try:
        return told(journal, path.name.partition(".")[0])
    except (KeyError, TypeError, AttributeError):
        raise JournalError(f"{path}: is no journal of a pilotlight experiment") from None


def told(journal: Json, name: str = "") -> Run:
    """Read a journal; `name` is used where it does not tell its own."""
    experiment = journal["experiment"]
    seen: Json = journal["pilotlight"]
    off = experiment["configuration"].get("negative_control", {})
    rollbacks = [each["status"] for each in journal["rollbacks"]]
    return Run(
        name=experiment.get("pilotlight-experiment", name),
        title=experiment["title"],
        hypothesis=experiment["steady-state-hypothesis"]["title"],
        description=" ".join(str(experiment["description"]).split()),
        negative=bool(seen.get("negative")),
        seed=int(seen.get("seed", 0)),
        status=journal["status"],
        deviated=journal["deviated"],
        aborted=seen.get("aborted", ""),
        broken=seen.get("broken", ""),
        measures=tuple(_measures(journal)),
        expected=off.get("deviates", ""),
        switched_off=off.get("what", ""),
        looks=len(journal["steady_states"]["during"]),
        rolled_back=bool(rollbacks) and set(rollbacks) == {"succeeded"},
        duration=journal["duration"],
        seen=seen,
    )


def pairs(runs: Iterable[Run]) -> list[Pair]:
    """Put experiments beside their negative controls."""

    def key(run: Run) -> tuple[str, int]:
        return run.name, run.seed

    together = []
    for _, group in groupby(sorted(runs, key=key), key=key):
        each = list(group)
        run = next((one for one in each if not one.negative), None)
        together.append(Pair(run, next((one for one in each if one.negative), None)))
    return together


def summary(found: Sequence[Pair]) -> str:
    """Say in one line how it went."""
    runs = [pair.run for pair in found if pair.run is not None]
    controls = [pair.control for pair in found if pair.control is not None]
    held, fell = sum(run.ok for run in runs), sum(control.ok for control in controls)
    return (
        f"{held}/{len(runs)} experiments held, "
        f"{fell}/{len(controls)} negative controls deviated where they should"
    )


def _measures(journal: Json) -> Iterator[Measure]:
    """Yield each probe with its last figure, or with the last one that was out of bounds.

    A look at the hypothesis ends at the first probe that is out of bounds: those behind it
    have no figure of the last look.
    """
    steady = journal["steady_states"]
    looks = [look["probes"] for look in (steady["before"], *steady["during"], steady["after"])
             if look]  # fmt: skip
    broken = {
        _name(run): run["output"] for look in looks for run in look if not run["tolerance_met"]
    }
    last = {_name(run): run["output"] for run in (looks[-1] if looks else ())} | broken
    for probe in journal["experiment"]["steady-state-hypothesis"]["probes"]:
        low, high = probe["tolerance"]
        name = probe["name"]
        yield Measure(name, (low, high), last.get(name), name not in broken)


def _name(run: Json) -> str:
    return str(run["activity"]["name"])
