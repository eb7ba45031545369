"""Charts as SVG: bars under one another, the target as a line; light, dark and in print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.chart import Bar, Chart

WIDTH, LABEL, RIGHT = 720.0, 212.0, 600.0
BAR, GAP, TOP, FOOT = 20.0, 7.0, 46.0, 18.0
FONT = "system-ui,-apple-system,'Segoe UI',sans-serif"
LIGHT = """
text{fill:#3d434c;stroke:#fff}.title,.mine{fill:#16181c}.page{fill:#fff}.axis{stroke:#c3c9d1}
.aim{fill:#b3261e}.limit{stroke:#b3261e}.spread{stroke:#16181c}
.ours{fill:#2563b8}.base{fill:#8b95a3}.peer{fill:#d98a4b}
"""
DARK = """
text{fill:#aab2bd;stroke:#14171c}.title,.mine{fill:#eef1f5}.page{fill:#14171c}.axis{stroke:#3a414c}
.aim{fill:#f28b82}.limit{stroke:#f28b82}.spread{stroke:#eef1f5}
.ours{fill:#6ea8f2}.base{fill:#6b7584}.peer{fill:#b8703a}
"""
STYLE = f"""
text{{font:13px {FONT};paint-order:stroke;stroke-width:3px;stroke-linejoin:round}}
.title{{font-size:15px;font-weight:600}}.mine{{font-weight:600}}.aim{{font-size:12px}}
.limit{{stroke-width:1.5;stroke-dasharray:4 3}}.spread{{stroke-opacity:.55}}
{LIGHT}@media screen and (prefers-color-scheme:dark){{{DARK}}}
"""


def svg(charts: Sequence[Chart], title: str) -> str:
    """Return a picture of its own, for a page of documentation."""
    parts, top = list[str](), 0.0
    for chart in charts:
        parts += _drawn(chart, top)
        top += height(chart)
    return _picture(parts, top, title, STYLE)


def inline(chart: Chart) -> str:
    """Return one chart for a page that has the style already."""
    return _picture(list(_drawn(chart, 0.0)), height(chart), chart.title, "")


def height(chart: Chart) -> float:
    return TOP + len(chart.bars) * (BAR + GAP) + FOOT


def _picture(parts: Sequence[str], tall: float, title: str, style: str) -> str:
    told = escape(title, quote=True)
    styled = f"<style>{style}</style>" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {tall:g}" role="img" '
        f'aria-label="{told}">{styled}<rect class="page" width="{WIDTH:g}" height="{tall:g}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _drawn(chart: Chart, top: float) -> Iterator[str]:
    """Draw a chart; the longest bar is the scale, unless the target is further out."""
    most = max([each.high or each.value for each in chart.bars] + [chart.limit or 0.0]) or 1.0

    def x(value: float) -> float:
        return LABEL + (RIGHT - LABEL) * value / most

    unit = f", {chart.unit}" if chart.unit else ""
    better = " (more is better)" if chart.more else ""
    yield _text(16, top + 24, f"{chart.title}{unit}{better}", "title")
    first, last = top + TOP, top + height(chart) - FOOT
    yield _line("axis", LABEL, first - 4, last)
    limit = x(chart.limit) if chart.limit is not None else 0.0
    bars = [
        _bar(each, first + row * (BAR + GAP), x, limit) for row, each in enumerate(_sorted(chart))
    ]
    yield from (part for parts, _ in bars for part in parts)
    if chart.limit is not None:
        yield _line("limit", x(chart.limit), first - 6, last)
    yield from (told for _, told in bars)
    if chart.limit is not None:
        sign = "≥" if chart.more else "≤"
        aim = f"target {sign} {_number(chart.limit)}"
        yield _text(x(chart.limit) + 4, last + 13, aim, "aim")


def _sorted(chart: Chart) -> list[Bar]:
    """Ours first, then the base, then the peers from the best to the worst."""
    if not chart.ranked:
        return list(chart.bars)
    rank = {"ours": 0, "base": 1, "peer": 2}
    sign = -1 if chart.more else 1
    return sorted(chart.bars, key=lambda each: (rank[each.kind], sign * each.value))


def _bar(each: Bar, y: float, x: Callable[[float], float], limit: float) -> tuple[list[str], str]:
    """Return the bar's parts, and its value, which stands in front of the target's line."""
    middle, end = y + BAR / 2 + 4.5, x(each.value)
    name = _text(LABEL - 10, middle, each.name, "mine" if each.kind == "ours" else "", "end")
    wide = max(end - LABEL, 1.5)
    box = f'x="{LABEL:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{BAR:.1f}"'
    parts = [name, f'<rect class="{each.kind}" {box} rx="2"/>']
    if each.low is not None and each.high is not None and x(each.high) - x(each.low) > 3:
        at = y + BAR / 2
        parts.append(
            f'<line class="spread" x1="{x(each.low):.1f}" y1="{at:.1f}" '
            f'x2="{x(each.high):.1f}" y2="{at:.1f}"/>'
        )
    told = each.note or _number(each.value)
    at = max(end, x(each.high or 0.0)) + 8
    if at - 6 < limit < at + 8 * len(told):
        at = limit + 6
    return parts, _text(at, middle, told)


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    styled = f' class="{kind}"' if kind else ""
    return f'<text{styled} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>'
