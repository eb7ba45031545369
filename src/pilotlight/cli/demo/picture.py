"""The report's picture: answers, breakers and latencies over one time axis, as inline SVG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from pilotlight.cli.demo.notes import TARGETS, CallNote, Transition

if TYPE_CHECKING:
    from pilotlight.cli.demo.play import Phase, Play
    from pilotlight.cli.demo.tally import Tally

LEFT, RIGHT, WIDTH = 78.0, 992.0, 1000.0
TOP = 26.0  # of the plots; above it the phases are named
BARS = (TOP, 170.0)
STRIPS = (188.0, 212.0)
STRIP = 14.0
DOTS = (250.0, 400.0)
HEIGHT = 428.0
SLICE = 0.25  # seconds a bar, in 20 seconds of play
ORDER = ("primary", "local", "lost")  # from below


class Axis:
    """Where a moment stands."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def x(self, at: float) -> float:
        """Return the place of a moment; what ended after the last bell stands at the edge."""
        return LEFT + (RIGHT - LEFT) * min(at, self.seconds) / self.seconds


def picture(play: Play, result: Tally) -> str:
    """Return the SVG element."""
    axis = Axis(result.seconds)
    calls = list(play.notes.calls)
    parts = [
        *_bands(axis, play.script.phases),
        *_answers(axis, calls),
        *_breakers(axis, result.transitions),
        *_latencies(axis, calls),
        *_times(axis),
    ]
    label = f"{result.answered} of {result.calls} calls answered; who answered over time"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _bands(axis: Axis, phases: Sequence[Phase]) -> Iterator[str]:
    for index, phase in enumerate(phases):
        left, right = axis.x(phase.start), axis.x(phase.end)
        tone = "ill" if not phase.well else "band" if index % 2 else ""
        if tone:
            yield _rect(left, TOP - 22, right - left, DOTS[1] - TOP + 22, tone)
        yield f'<text class="name" x="{left + 6:.1f}" y="{TOP - 7:.1f}">{escape(phase.name)}</text>'


def _answers(axis: Axis, calls: Sequence[CallNote]) -> Iterator[str]:
    """Yield one stacked bar a slice of time, of the calls that ended in it."""
    count = 80
    slices: list[Counter[str]] = [Counter() for _ in range(count)]
    for call in calls:
        index = min(count - 1, int(call.ended / axis.seconds * count))
        slices[index][call.served_by or "lost"] += 1
    tallest = max((sum(each.values()) for each in slices), default=0) or 1
    unit = (BARS[1] - BARS[0] - 6) / tallest
    width = (RIGHT - LEFT) / count
    yield from _scale(BARS, tallest, unit, "answers", f"per {axis.seconds / count:.2g} s")
    for index, each in enumerate(slices):
        bottom = BARS[1]
        for who in ORDER:
            if each[who]:
                height = each[who] * unit
                bottom -= height
                yield _rect(LEFT + index * width + 0.75, bottom, width - 1.5, height, who)


def _breakers(axis: Axis, transitions: Sequence[Transition]) -> Iterator[str]:
    """Yield a strip a target; half-open lasts milliseconds, so it is drawn wide enough to see."""
    for target, top in zip(TARGETS, STRIPS, strict=True):
        yield f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{target}</text>'
        own = [change for change in transitions if change.target == target]
        starts = [(0.0, "closed"), *((change.at, change.new) for change in own)]
        ends = [*(at for at, _ in starts[1:]), axis.seconds]
        spans = [(axis.x(at), axis.x(end), s) for (at, s), end in zip(starts, ends, strict=True)]
        for left, right, state in sorted(spans, key=lambda span: span[2] == "half-open"):
            width = max(right - left, 4.0 if state == "half-open" else 0.5)
            yield _rect(min(left, RIGHT - width), top, width, STRIP, state)


def _latencies(axis: Axis, calls: Sequence[CallNote]) -> Iterator[str]:
    longest = max((call.ended - call.began for call in calls), default=0.1) * 1000
    top = _round_up(longest)
    unit = (DOTS[1] - DOTS[0]) / top
    yield from _scale(DOTS, top, unit, "call, ms", "")
    for call in calls:
        who = call.served_by or "lost"
        y = DOTS[1] - (call.ended - call.began) * 1000 * unit
        yield (
            f'<circle class="{who}" cx="{axis.x(call.began):.1f}" cy="{y:.1f}" r="2.6" '
            'fill-opacity=".8"/>'
        )


def _scale(
    panel: tuple[float, float], top: float, unit: float, name: str, more: str
) -> Iterator[str]:
    """Yield a panel's ground line, its highest and middle value, and its name."""
    for value in (0, top / 2, top):
        y = panel[1] - value * unit
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        if value and value == int(value):
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.0f}</text>'
    for line, text in enumerate(part for part in (name, more) if part):
        y = panel[1] - 18 + 15 * line
        yield f'<text class="name" x="{LEFT - 8}" y="{y:.1f}" text-anchor="end">{text}</text>'


def _times(axis: Axis) -> Iterator[str]:
    step = next(s for s in (1, 2, 5, 10, 30, 60) if axis.seconds / s <= 12 or s == 60)
    for at in range(0, int(axis.seconds) + 1, step):
        anchor = "end" if at >= axis.seconds else "middle"
        x = axis.x(at)
        yield f'<text x="{x:.1f}" y="{DOTS[1] + 18}" text-anchor="{anchor}">{at} s</text>'


def _round_up(value: float) -> float:
    """Return the next round number that a scale may end with."""
    power: float = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(power * step for step in (1, 2, 4, 6, 10) if power * step >= value)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )
