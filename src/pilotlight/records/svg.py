"""The plots of a log's page, as inline SVG made by hand."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from pilotlight.records.summary import NOBODY, STEP, Spread, Timeline
from pilotlight.records.words import escape, money, seconds

LEFT, RIGHT, WIDTH = 96.0, 992.0, 1000.0
DAYS = 366  # that are drawn, at most
COLOURS = 6  # of targets; further ones share the last
TICKS = (
    0.001,
    0.003,
    0.01,
    0.03,
    0.1,
    0.3,
    1.0,
    3.0,
    10.0,
    30.0,
    120.0,
    600.0,
)  # seconds, of the latencies
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def tone(who: str, targets: Sequence[str]) -> str:
    """Return the class that colours what a target did."""
    return "lost" if who == NOBODY else f"t{min(targets.index(who), COLOURS - 1)}"


def svg(height: float, label: str, parts: Iterator[str]) -> str:
    """Return the element; `label` says in words what is to be seen."""
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


class Axis:
    """Where a moment stands."""

    def __init__(self, line: Timeline) -> None:
        self.first, last = min(line.served), max(line.served)
        self.slices = last - self.first + 1
        self.step = (RIGHT - LEFT) / self.slices
        self.began, self.ended = self.first * line.width, (last + 1) * line.width

    def x(self, number: float) -> float:
        """Return the left edge of a slice."""
        return LEFT + (number - self.first) * self.step

    def ticks(self, y: float) -> Iterator[str]:
        """Yield round moments of local time."""
        span = self.ended - self.began
        step = next((s for s in STEPS if span / s <= 9), math.ceil(span / 9 / 86400) * 86400)
        shape = "%H:%M:%S" if step < 60 else "%H:%M" if step < 43200 else "%d %b"
        offset = time.localtime(self.began).tm_gmtoff
        at = math.ceil((self.began + offset) / step) * step - offset
        while at <= self.ended:
            x = LEFT + (at - self.began) / span * (RIGHT - LEFT)
            anchor = "end" if x > RIGHT - 24 else "middle"
            text = time.strftime(shape, time.localtime(at))
            yield f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
            at += step


def over_time(line: Timeline, targets: Sequence[str]) -> str:
    """Draw who served, and the time lost, over one axis of time."""
    axis = Axis(line)
    label = "calls over time by who answered them, and below the time lost"
    return svg(376, label, _over_time(axis, line, targets))


def _over_time(axis: Axis, line: Timeline, targets: Sequence[str]) -> Iterator[str]:
    tallest = max(counts.total() for counts in line.served.values())
    gap = min(0.75, axis.step / 8)
    each = f"per {seconds(line.width)}"
    top, bottom = 12.0, 210.0
    scale = _round_up(tallest)
    yield from _grid(top, bottom, [f"{scale / 2:g}" if scale > 1 else "", f"{scale:g}"])
    yield from _name(bottom, "calls", each)
    for number, counts in line.served.items():
        y = bottom
        for who in (*targets, NOBODY):
            if counts[who]:
                height = counts[who] / scale * (bottom - top)
                y -= height
                yield _rect(
                    axis.x(number) + gap, y, axis.step - 2 * gap, height, tone(who, targets)
                )
    top, bottom = 238.0, 346.0
    longest = _round_up(max(line.lost.values(), default=0.0) or 1.0)
    yield from _grid(top, bottom, [seconds(longest / 2), seconds(longest)])
    yield from _name(bottom, "time lost", each)
    for number, lost in line.lost.items():
        height = lost / longest * (bottom - top)
        yield _rect(axis.x(number) + gap, bottom - height, axis.step - 2 * gap, height, "time")
    yield from axis.ticks(366)


def by_day(days: Mapping[str, Mapping[str, float]], targets: Sequence[str]) -> str:
    """Draw what each day cost, by target: the last year of those, which are like 2026-11-30."""
    first, last = (date.fromisoformat(each) for each in (min(days), max(days)))
    first = max(first, last - timedelta(DAYS - 1))
    every = [str(first + timedelta(number)) for number in range((last - first).days + 1)]
    top, bottom = 12.0, 210.0
    scale = _round_up(max(sum(costs.values()) for costs in days.values()))
    step = (RIGHT - LEFT) / len(every)
    gap = min(6.0, step / 8)
    labelled = math.ceil(len(every) / 9)

    def parts() -> Iterator[str]:
        yield from _grid(top, bottom, [money(scale / 2), money(scale)])
        yield from _name(bottom, "US dollars", "per day")
        for number, day in enumerate(every):
            y, x = bottom, LEFT + number * step
            for who in targets:
                height = days.get(day, {}).get(who, 0.0) / scale * (bottom - top)
                y -= height
                if height:
                    yield _rect(x + gap, y, step - 2 * gap, height, tone(who, targets))
            if number % labelled == 0:
                text = date.fromisoformat(day).strftime("%d %b")
                middle = f'x="{x + step / 2:.1f}" y="230" text-anchor="middle"'
                yield f"<text {middle}>{text}</text>"

    return svg(240, "what each day cost in US dollars, by target", parts())


def latencies(spreads: Mapping[str, Spread], targets: Sequence[str]) -> str:
    """Draw how long each target's answers took, on one logarithmic axis."""
    classes = [number for spread in spreads.values() for number in spread.classes]
    low, high = min(classes) - 2, max(classes) + 3
    left = 210.0
    unit = (RIGHT - left) / (high - low)
    bottom = 54.0 * len(spreads) + 6

    def parts() -> Iterator[str]:
        for tick in TICKS:
            number = math.log(tick, STEP)
            if low <= number <= high:
                x = left + (number - low) * unit
                yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{bottom}"/>'
                text = f'text-anchor="middle">{seconds(tick)}</text>'
                yield f'<text x="{x:.1f}" y="{bottom + 18}" {text}'
        for index, (name, spread) in enumerate(spreads.items()):
            kind, ground = tone(name, targets), 54.0 * (index + 1)
            yield from _histogram(name, spread, ground, left - low * unit, unit, kind)

    return svg(bottom + 26, "how long each target took to answer", parts())


def _histogram(
    name: str, spread: Spread, ground: float, zero: float, unit: float, kind: str
) -> Iterator[str]:
    tallest = max(spread.classes.values())
    middle, high = spread.quantile(0.5) or 0.0, spread.quantile(0.95) or 0.0
    text = escape(_short(name))
    yield f'<text class="name" x="200" y="{ground - 20}" text-anchor="end">{text}</text>'
    said = f"{seconds(middle)} · 95% {seconds(high)}"
    yield f'<text x="200" y="{ground - 5}" text-anchor="end">{said}</text>'
    yield f'<line class="grid" x1="210" x2="{RIGHT}" y1="{ground}" y2="{ground}"/>'
    for number, count in spread.classes.items():
        height = max(count / tallest * 40, 1.0)
        yield _rect(zero + number * unit, ground - height, unit * 0.92, height, kind)


def _grid(top: float, bottom: float, marks: Sequence[str]) -> Iterator[str]:
    for index, text in enumerate(("", *marks)):
        y = bottom - (bottom - top) * index / len(marks)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _name(bottom: float, name: str, more: str) -> Iterator[str]:
    for y, text, kind in ((bottom - 20, name, "name"), (bottom - 5, more, "")):
        yield f'<text class="{kind}" x="{LEFT - 8}" y="{y}" text-anchor="end">{text}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:13]}…{name[-14:]}"


def _round_up(value: float) -> float:
    """Return the next round number that a scale may end with."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 6, 10) if power * step >= value * 0.9999)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height:.1f}"/>'
    )
