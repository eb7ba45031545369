"""A row that sets our calls against a base of the same run, in CPU with the clock beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.chart import Chart, Kind, bar
from benchmarks.measure import Figure, Spent, ratio, split
from benchmarks.rows import Row

OURS = "pilotlight"
LITELLM = "pilotlight via litellm"
RAW, SDK, NATIVE = "raw httpx", "openai SDK", "raw ollama client"
PLAIN = "the same call, not gathered"


def versus(
    figure: str,
    found: Mapping[str, Sequence[Spent]],
    base: str,
    limit: float | None = None,
    promise: str = "",
) -> Row:
    """Return the row of ours against `base`; all the others stand under the peers."""
    walls, cpus = split(found)
    times = ratio(cpus, OURS, base)
    others = [name for name in found if name not in (OURS, base)]
    told = [f"{name} {ratio(cpus, name, base).median:.1f}x" for name in others]
    return Row(
        figure,
        f"{times.times()}: {_spent(walls, cpus, OURS)}; {base} {_spent(walls, cpus, base)}",
        f"<= {limit:g}x {base}" if limit else "-",
        times.median <= limit if limit else None,
        "; ".join(told) + " (live)" if told else "",
        {"ratio": times.values(), "wall": walls, "cpu": cpus},
        promise,
        chart(figure, cpus, base, limit).as_json(),
    )


def chart(
    figure: str,
    cpus: Mapping[str, Sequence[float]],
    base: str,
    limit: float | None,
) -> Chart:
    """Return the CPU of each in milliseconds; the target's line is so many times the base."""
    bars = [bar(name, rounds, kind(name, base)) for name, rounds in cpus.items()]
    floor = next(each.value for each in bars if each.name == base)
    return Chart(figure, "ms CPU", bars, floor * limit if limit else None)


def kind(name: str, base: str) -> Kind:
    """Tell whose bar it is."""
    if name.startswith(OURS):
        return "ours"
    return "base" if name == base else "peer"


def _spent(
    walls: Mapping[str, Sequence[float]], cpus: Mapping[str, Sequence[float]], name: str
) -> str:
    cpu, wall = Figure(cpus[name]).median, Figure(walls[name]).median
    return f"{cpu * 1e3:.2f} ms CPU, {wall * 1e3:.2f} wall"
