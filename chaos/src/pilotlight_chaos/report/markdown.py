"""The report as Markdown: for a pull request, a job's summary, and a page of documentation.

Several seeds stand side by side in a cell, in the order of the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from .reading import Measure, Pair, Run, summary

HEAD = (
    "| # | experiment | figure, over the fault | threshold | measured | switched off | measured |",
    "|---|---|---|---|---|---|---|",
)
MARK, END = "<!-- chaos report -->\n", "<!-- end of chaos report -->\n"


def markdown(found: Sequence[Pair]) -> str:
    """Return the verdict and the table."""
    seeds = sorted({pair.any.seed for pair in found})
    said = f"Seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}."
    return f"**{summary(found)}.** {said}\n\n{table(found)}"


def written(path: Path, found: Sequence[Pair]) -> str:
    """Return what to write into a file: between its marks, where it has them, or all of it."""
    old = path.read_text("utf-8") if path.is_file() else ""
    if MARK not in old or END not in old:
        return markdown(found)
    before, _, rest = old.partition(MARK)
    return f"{before}{MARK}\n{markdown(found)}\n{END}{rest.partition(END)[2]}"


def table(found: Sequence[Pair]) -> str:
    """Return one row a probe; what is said once stands in an experiment's first."""
    lines = [*HEAD]
    for _, group in groupby(found, key=lambda pair: pair.any.name):
        lines += _rows(list(group))
    return "\n".join(lines) + "\n"


def _rows(seeds: Sequence[Pair]) -> Iterator[str]:
    known = seeds[0].any
    runs = [pair.run for pair in seeds if pair.run]
    controls = [pair.control for pair in seeds if pair.control]
    off = controls[0].switched_off if controls else ""
    for index, measure in enumerate(known.measures):
        first = index == 0
        cells = (
            known.number if first else "",
            f"{known.title}{_trouble(runs)}" if first else "",
            measure.name,
            measure.threshold,
            _shown(run.measures[index] for run in runs) or "not run",
            f"{off}{_trouble(controls)}" if first else "",
            _shown(control.measures[index] for control in controls),
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _trouble(runs: Iterable[Run]) -> str:
    return "".join(f" — **{run.outcome}**" for run in runs if not run.ok)


def _shown(measures: Iterable[Measure]) -> str:
    return " / ".join(each.shown for each in measures if each.figure is not None)
