"""One run over time, as inline SVG: faults, who answered each call and how fast, breakers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from .reading import Run

LEFT, RIGHT, WIDTH = 92.0, 988.0, 1000.0
NAMES = 16.0  # height of a line of fault names
LETTER = 6.3  # about the width of one
DOTS = 132.0  # height of the plot of latencies
STRIP, GAP = 13.0, 6.0
LONGEST = 10.0  # seconds; the scale is logarithmic, from a millisecond
LINES = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"))
PLACES = ("first", "second", "third", "fourth")  # of the route's targets


def picture(run: Run) -> str:
    """Return the SVG element; its classes are those of the page's style."""
    drawing = Drawing(run)
    label = f"{run.title}: calls, breakers and faults over {drawing.seconds:.1f} s"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {drawing.height:g}" role="img" '
        f'aria-label="{escape(label)}">{"".join(drawing.parts())}</svg>'
    )


class Drawing:
    """The places of things in one picture."""

    def __init__(self, run: Run) -> None:
        seen = run.seen
        self.seconds = max(0.1, float(seen["seconds"]))
        self.calls = seen["calls"]
        self.changes = seen["changes"]
        self.route: list[str] = seen["route"]
        self.spans = [
            (what, at, self.seconds if end is None else end) for what, at, end in seen["spans"]
        ]
        self.healed: float | None = seen["marks"].get("heal")
        moved = {change["target"] for change in self.changes}
        guarded = not any(call["served_by"] == "plain" for call in self.calls)
        first = self.route[:1] if guarded else []  # without pilotlight there is no breaker
        self.breakers = [name for name in self.route if name in moved] or first
        self.names = list(self._placed())
        self.top = 6 + NAMES * (1 + max((line for *_, line in self.names), default=0))
        self.bottom = self.top + DOTS
        self.height = self.bottom + 26 + (STRIP + GAP) * len(self.breakers)

    def x(self, at: float) -> float:
        """Return the place of a moment."""
        return LEFT + (RIGHT - LEFT) * min(max(at, 0.0), self.seconds) / self.seconds

    def y(self, took: float) -> float:
        """Return the place of a duration."""
        decades = math.log10(min(max(took, 0.001), LONGEST) * 1000)
        return self.bottom - DOTS * decades / math.log10(LONGEST * 1000)

    def parts(self) -> Iterator[str]:
        """Yield everything, from the back to the front."""
        yield from self._faults()
        yield from self._scale()
        yield from self._dots()
        yield from self._strips()

    def _placed(self) -> Iterator[tuple[str, float, int]]:
        """Give each fault's name a line on which it runs into no other."""
        ends: list[float] = []
        for what, at, _ in self.spans:
            wide = LETTER * len(what)
            x = min(self.x(at), RIGHT - wide)
            line = next((i for i, end in enumerate(ends) if end <= x), len(ends))
            ends[line : line + 1] = [x + wide + 8]
            yield what, x, line

    def _faults(self) -> Iterator[str]:
        for _, at, end in self.spans:
            width = max(self.x(end) - self.x(at), 1.5)
            yield _rect(self.x(at), self.top, width, DOTS, "ill")
        for _, at, _ in self.spans:  # windows lie over one another: where each begins is seen
            yield self._line(at, "start")
        for what, x, line in self.names:
            y = 14 + NAMES * line
            yield f'<text class="name" x="{x:.1f}" y="{y:.1f}">{escape(what)}</text>'
        if self.healed is not None:
            yield self._line(self.healed, "mark")

    def _line(self, at: float, kind: str) -> str:
        x = self.x(at)
        return (
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{self.top:.1f}" y2="{self.bottom:.1f}"/>'
        )

    def _scale(self) -> Iterator[str]:
        for took, words in LINES:
            y = self.y(took)
            yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
        step = next(s for s in (0.5, 1, 2, 5, 10, 30) if self.seconds / s <= 12 or s == 30)
        for index in range(int(self.seconds / step) + 1):
            x = self.x(index * step)
            anchor = "end" if x > RIGHT - 12 else "middle"
            yield (
                f'<text x="{x:.1f}" y="{self.bottom + 16:.1f}" '
                f'text-anchor="{anchor}">{index * step:g} s</text>'
            )

    def _dots(self) -> Iterator[str]:
        for call in self.calls:
            x, y, kind = self.x(call["began"]), self.y(call["took"]), self.kind(call)
            if kind in ("lost", "waiting"):
                yield f'<path class="{kind}" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6"/>'
            else:
                yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'

    def kind(self, call: Mapping[str, object]) -> str:
        """Return the class of a call's mark: who answered it, or that nobody did."""
        if not call["ended"]:
            return "waiting"
        if call["error"]:
            return "lost"
        if call["verdict"] != "whole":
            return "wrong"
        who = call["served_by"]
        place = self.route.index(str(who)) if who in self.route else 0
        return PLACES[min(place, len(PLACES) - 1)]

    def _strips(self) -> Iterator[str]:
        """Yield a strip a breaker; half-open lasts milliseconds, and is drawn wide enough."""
        for row, target in enumerate(self.breakers):
            top = self.bottom + 26 + row * (STRIP + GAP)
            yield (
                f'<text x="{LEFT - 8}" y="{top + 10.5:.1f}" '
                f'text-anchor="end">{escape(target)}</text>'
            )
            own = [change for change in self.changes if change["target"] == target]
            starts = [(0.0, "closed"), *((change["at"], change["new"]) for change in own)]
            ends = [*(at for at, _ in starts[1:]), self.seconds]
            for (at, state), end in zip(starts, ends, strict=True):
                width = max(self.x(end) - self.x(at), 3.0 if state == "half-open" else 0.5)
                yield _rect(min(self.x(at), RIGHT - width), top, width, STRIP, state)


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )
