"""The surge as a picture: who was served and shed, and how full it was, as an SVG of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rows import Row

LEFT, RIGHT, WIDTH = 150.0, 960.0, 980.0
SERVED, BAR = 64.0, 13.0  # top of the first bar, height of a bar with its gap
SHED = 120.0  # height of the panel
FILL = 90.0
GAP = 62.0
STYLE = """
text{font:12px system-ui,sans-serif;fill:#4a4f57}
.title{font-size:15px;font-weight:600;fill:#16181c}
.name{font-weight:600;fill:#16181c}
.page{fill:#fff}.grid{stroke:#d5d9df;stroke-width:1}.bound{stroke:#b3261e;stroke-dasharray:4 3}
.queued{fill:#c9d6ea}.served{fill:#2563b8}.until{stroke:#16181c;stroke-width:2}
.shed{fill:#c2410c}.displaced{fill:none;stroke:#c2410c;stroke-width:1.6}
.inside,.waiting{fill:none;stroke-width:2}.inside{stroke:#2563b8}.waiting{stroke:#c2410c}
.in{fill:#2563b8}.out{fill:#c2410c}
@media(prefers-color-scheme:dark){
text{fill:#aab2bd}.title,.name{fill:#eef1f5}.page{fill:#14171c}.grid{stroke:#333a44}
.bound{stroke:#f28b82}.queued{fill:#33455f}.served{fill:#6ea8f2}.until{stroke:#eef1f5}
.shed,.out{fill:#fb9a5b}.displaced,.waiting{stroke:#fb9a5b}.inside{stroke:#6ea8f2}.in{fill:#6ea8f2}}
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle with a scale on each side; `across` and `up` are what its edges stand for."""

    top: float
    height: float
    across: float
    up: float = 1.0

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(value, self.across) / self.across

    def y(self, value: float) -> float:
        return self.bottom - self.height * min(value, self.up) / self.up

    def ruled(self, step: float, unit: str, scale: float = 1.0) -> Iterator[str]:
        """Yield upright lines at every step, with their values below."""
        for index in range(int(self.across / step + 1e-9) + 1):
            x = self.x(index * step)
            yield _line("grid", x, self.top, x, self.bottom)
            yield _text(x, self.bottom + 16, f"{index * step * scale:g} {unit}", "middle")


def picture(rows: Iterable[Row]) -> str:
    """Return the SVG of the surge among these rows; raises ValueError if it is not there."""
    values = next((row.values for row in rows if "calls" in row.values), None)
    if values is None:
        raise ValueError("--plot draws the surge: measure it too (--only surge)")
    calls: Sequence[Mapping[str, Any]] = values["calls"]
    served = sorted((c for c in calls if c["outcome"] == "served"), key=lambda c: c["admitted"])
    shed = [call for call in calls if call["outcome"] == "shed"]
    seconds = max(call["ended"] for call in served) * 1.03
    first = Panel(SERVED, BAR * len(served), seconds)
    slowest = max(map(_told_after, shed)) * 1000
    second = Panel(
        first.bottom + GAP, SHED, max(c["ended"] for c in shed) * 1.03, max(25.0, slowest * 1.05)
    )
    most = max(waiting for _, _, waiting in values["trace"])
    third = Panel(second.bottom + GAP, FILL, seconds, most * 1.15)
    parts = [
        *_served(first, served),
        *_shed(second, shed),
        *_fill(third, values["trace"]),
    ]
    height = third.bottom + 30
    told = f"{len(calls)} calls at once on two places: {len(served)} served, {len(shed)} shed"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
        f'aria-label="{told}"><style>{STYLE}</style>'
        f'<rect class="page" width="{WIDTH:g}" height="{height:g}"/>'
        f'<text class="title" x="16" y="24">{told}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _served(panel: Panel, calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from _named(panel, "served", "by priority")
    yield from _legend(
        panel.top - 14,
        [("queued", "in the queue"), ("served", "being served"), ("until", "deadline")],
    )
    yield from panel.ruled(0.25, "s")
    for index, call in enumerate(calls):
        y = panel.top + index * BAR
        began, admitted, ended = (panel.x(call[key]) for key in ("began", "admitted", "ended"))
        yield _rect("queued", began, y + 1.5, admitted - began, BAR - 3)
        yield _rect("served", admitted, y + 1.5, ended - admitted, BAR - 3)
        if (until := call["began"] + call["total_timeout"]) <= panel.across:
            yield _line("until", panel.x(until), y, panel.x(until), y + BAR)
        yield _text(LEFT - 8, y + BAR - 3, str(call["priority"]), "end")


def _shed(panel: Panel, calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from _named(panel, "shed", "told after, ms")
    yield from _legend(
        panel.top - 14,
        [("shed", "refused at once"), ("displaced", "displaced by a higher priority")],
    )
    yield from panel.ruled(0.01 if panel.across < 0.15 else 0.05, "ms", 1000)
    yield _line("bound", LEFT, panel.y(20), RIGHT, panel.y(20))
    yield _text(LEFT - 8, panel.y(20) + 4, "20 ms", "end")
    yield _text(LEFT - 8, panel.bottom + 4, "0", "end")
    for call in calls:
        kind = "shed" if call["displaced"] is None else "displaced"
        x, y = panel.x(call["ended"]), panel.y(_told_after(call) * 1000)
        yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'


def _fill(panel: Panel, trace: Sequence[Sequence[float]]) -> Iterator[str]:
    yield from _named(panel, "how full", "calls")
    yield from _legend(panel.top - 14, [("in", "in flight"), ("out", "in the queue")])
    yield from panel.ruled(0.25, "s")
    for name, place in (("inside", 1), ("waiting", 2)):
        most = max(int(moment[place]) for moment in trace)
        yield _text(LEFT - 8, panel.y(most) + 4, str(most), "end")
        yield f'<path class="{name}" d="{_steps(panel, trace, place)}"/>'


def _steps(panel: Panel, trace: Sequence[Sequence[float]], place: int) -> str:
    """Return a line of steps; moments at which nothing changed are left out."""
    path, last = f"M{LEFT:.1f} {panel.y(0):.1f}", 0.0
    for moment in trace:
        if moment[place] != last:
            last = moment[place]
            path += f"H{panel.x(moment[0]):.1f}V{panel.y(last):.1f}"
    return path


def _told_after(call: Mapping[str, Any]) -> float:
    began = call["began"] if call["displaced"] is None else call["displaced"]
    return float(call["ended"] - began)


def _named(panel: Panel, name: str, more: str) -> Iterator[str]:
    yield f'<text class="name" x="16" y="{panel.top - 14:.1f}">{name}</text>'
    yield _text(16, panel.top + 4, more, "start")


def _legend(y: float, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    x = LEFT
    for kind, text in entries:
        if kind == "until":
            yield _line(kind, x + 5, y - 10, x + 5, y + 1)
        elif kind in ("shed", "displaced"):
            yield f'<circle class="{kind}" cx="{x + 5:.1f}" cy="{y - 4:.1f}" r="3.2"/>'
        else:
            yield _rect(kind, x, y - 9, 10, 10)
        yield _text(x + 16, y, text, "start")
        x += 40 + 6.4 * len(text)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
