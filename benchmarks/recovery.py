"""How a primary comes back after an outage: the product's own flow, simulated over many seeds.

A call every four seconds, a fallback that is well, an outage of some length and kind.  No clock
of the machine is read, so the figures are the same everywhere.  `python -m benchmarks.recovery`
prints the table of docs/coming-back.md, and with `--picture FILE` draws its picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from benchmarks.chart import Bar, Chart
from benchmarks.chart_svg import svg
from benchmarks.recovery_sim import Kind, Model, Outage, World, lognormal, served_again, trials
from benchmarks.rows import Row, markdown

BEAT: Final = 4.0  # seconds between two calls
WELL: Final = 60.0  # seconds before the outage begins
SEEDS: Final = 60
OUTAGES: Final = (10.0, 60.0, 300.0, 900.0, 1800.0)  # seconds
LONG: Final = 900.0  # from here on trials are counted by the minute


@dataclass(frozen=True, slots=True)
class Aim:
    """What is promised of a kind of outage: seconds, and trials a minute.

    `cycle` is how many seconds lie between two trials of a long one: it ends at any moment
    between them, or calls and breaks would keep step.
    """

    told: str
    cycle: float
    worst: float
    trials: float
    mean: float | None = None


AIMS: Final[dict[Kind, Aim]] = {
    "refused": Aim("refused at once", 16.0, 20.0, 4.0, 8.0),
    "500": Aim("HTTP 500", 16.0, 20.0, 4.0, 8.0),
    "429": Aim("429 without a time", 16.0, 20.0, 4.0, 8.0),
    "hang": Aim("no answer at all", 60.0, 60.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Course:
    """What came of one outage: seconds, and how often the primary was asked meanwhile.

    `seconds` is its length as the table names it; it `lasted` a little longer.
    """

    seconds: float
    lasted: float
    back: float
    trials: int
    slowest: float
    failed: int


def course(kind: Kind, seconds: float, seed: int) -> Course:
    """Play one outage."""
    world = World(f"{kind} {seconds:g} {seed}")
    begin = WELL + world.random.uniform(0, BEAT)
    healed = begin + seconds + world.random.uniform(0, AIMS[kind].cycle)
    gpt = world.provider("gpt", Model(lognormal(1.0)), [Outage(begin, healed, kind)])
    local = world.provider("local", Model(lognormal(0.3)))
    world.every(BEAT, [gpt, local], stream=True)
    world.run(healed + 150.0)
    during = [call for call in world.calls if begin <= call.started_at < healed]
    return Course(
        seconds,
        healed - begin,
        served_again(world, "gpt", healed),
        trials(world, "gpt"),
        max((call.duration for call in during), default=0.0),
        sum(call.served_by is None for call in during),
    )


def courses(kind: Kind) -> list[Course]:
    """Play outages of all lengths, each with all seeds."""
    return [course(kind, seconds, seed) for seconds in OUTAGES for seed in range(SEEDS)]


def rows() -> list[Row]:
    """Return the figures of `make bench`."""
    return [row for kind, aim in AIMS.items() for row in _rows(aim, courses(kind))]


def _rows(aim: Aim, found: Sequence[Course]) -> list[Row]:
    back = [each.back for each in found]
    asked = [each.trials * 60 / each.lasted for each in found if each.seconds >= LONG]
    told = f"back on the primary, {aim.told}"
    worst = f"<= {aim.worst:g} s"
    made = [
        Row(f"{told}: worst", f"{max(back):.1f} s", worst, max(back) <= aim.worst),
        Row(
            f"trials in a long outage, {aim.told}",
            f"{mean(asked):.1f} a minute",
            f"<= {aim.trials:g}",
            mean(asked) <= aim.trials,
        ),
    ]
    if aim.mean is not None:
        average = f"{mean(back):.1f} s"
        kept = mean(back) <= aim.mean
        made.insert(0, Row(f"{told}: mean", average, f"<= {aim.mean:g} s", kept))
    return made


def charts() -> list[Chart]:
    """Return the pictures of the page: how long after its healing the primary serves again."""
    return [
        Chart(
            f"{aim.told[0].upper()}{aim.told[1:]}: until the primary is used again, mean and worst",
            "s",
            [_bar(seconds, courses(kind)) for seconds in OUTAGES],
            aim.worst,
            ranked=False,
        )
        for kind, aim in AIMS.items()
        if kind in ("500", "hang")
    ]


def _bar(seconds: float, found: Sequence[Course]) -> Bar:
    back = [each.back for each in found if each.seconds == seconds]
    return Bar(f"outage of {seconds:g} s", mean(back), "ours", min(back), max(back))


def table() -> str:
    """Return what callers saw, a line a kind of outage and length."""
    lines: list[tuple[str, ...]] = []
    for kind, aim in AIMS.items():
        found = courses(kind)
        for seconds in OUTAGES:
            these = [each for each in found if each.seconds == seconds]
            back = [each.back for each in these]
            lines.append(
                (
                    aim.told,
                    f"{seconds:g} s",
                    f"{mean(back):.1f} s",
                    f"{max(back):.1f} s",
                    f"{mean(each.trials for each in these):.1f}",
                    f"{max(each.slowest for each in these):.1f} s",
                    str(sum(each.failed for each in these)),
                )
            )
    header = ("outage", "length", "back, mean", "worst", "trials", "slowest call", "failed calls")
    return markdown(header, lines)


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.picture is not None:
        title = "How long after its healing a primary is used again"
        options.picture.write_text(svg(charts(), title), "utf-8")
    print(table())


if __name__ == "__main__":
    main()
