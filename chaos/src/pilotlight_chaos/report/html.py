"""The report as one HTML page that needs nothing but itself; readable on paper and in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from .reading import Measure, Pair, Run, summary
from .svg import PLACES, picture

KEY = (
    ("wrong", "a wrong or short answer"),
    ("lost", "an error"),
    ("waiting", "still waiting at the end"),
    ("ill", "fault"),
    ("closed", "breaker closed"),
    ("half-open", "half-open"),
    ("open", "open"),
)


def page(found: Sequence[Pair]) -> str:
    """Return the whole page; no prompt, no answer and no key is in it."""
    style = (files("pilotlight_chaos.report") / "style.css").read_text("utf-8")
    kind = "good" if all(pair.ok for pair in found) else "bad"
    seeds = ", ".join(str(seed) for seed in sorted({pair.any.seed for pair in found}))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pilotlight chaos</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1 class="{kind}">{escape(summary(found))}</h1>
<p class="soft">Seed {seeds}. An experiment holds when every figure keeps its threshold before,
during and after the fault. Its negative control is the same experiment with the protection
switched off: it has to deviate, and at the first figure.</p>
</header>
<section>
<h2>Verdicts</h2>
<div class="scroll"><table>
<thead><tr><th class="n">#</th><th>experiment</th><th class="n">seed</th><th>result</th>
<th>protection switched off</th><th>result</th></tr></thead>
<tbody>{"".join(map(_verdict, found))}</tbody></table></div>
</section>
{"".join(map(_section, found))}</body>
</html>
"""


def _verdict(pair: Pair) -> str:
    control = pair.control
    return (
        f'<tr><td class="n">{escape(pair.any.number)}</td>'
        f'<td><a href="#{_anchor(pair.any)}">{escape(pair.any.title)}</a></td>'
        f'<td class="n">{pair.any.seed}</td>'
        f"<td>{_result(pair.run)}</td>"
        f'<td class="soft">{escape(control.switched_off) if control else ""}</td>'
        f"<td>{_result(control)}</td></tr>\n"
    )


def _result(run: Run | None) -> str:
    if run is None:
        return '<span class="soft">not run</span>'
    mark, kind = ("✓", "good") if run.ok else ("✗", "bad")
    return f'<span class="{kind}">{mark}</span>&nbsp;{escape(run.outcome)}'


def _section(pair: Pair) -> str:
    known = pair.any
    return (
        f'<section class="experiment" id="{_anchor(known)}">\n'
        f"<h2>{escape(known.number)} · {escape(known.title)} · seed {known.seed}</h2>\n"
        f"<p>{escape(known.description)}</p>\n"
        f"<p><b>Hypothesis.</b> {escape(known.hypothesis)}.</p>\n"
        f"{_figures(pair)}{_plot(pair.run)}{_plot(pair.control)}</section>\n"
    )


def _figures(pair: Pair) -> str:
    rows = []
    for index, known in enumerate(pair.any.measures):
        held = pair.run.measures[index] if pair.run else None
        fell = pair.control.measures[index] if pair.control else None
        rows.append(
            f'<tr><td>{escape(known.name)}</td><td class="n">{escape(known.threshold)}</td>'
            f"{_figure(held)}{_figure(fell)}</tr>"
        )
    return (
        '<div class="scroll"><table class="figures"><thead><tr><th>figure</th>'
        '<th class="n">threshold</th><th class="n">measured</th><th class="n">switched off</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _figure(measure: Measure | None) -> str:
    if measure is None or measure.figure is None:
        return '<td class="n soft"></td>'
    kind = "" if measure.met else " bad"
    return f'<td class="n{kind}">{measure.shown}</td>'


def _plot(run: Run | None) -> str:
    if run is None:
        return ""
    said = (
        f"Switched off: {run.switched_off}. It {run.outcome}."
        if run.negative
        else f"Under protection: {run.outcome}, in {run.looks} looks during the fault."
    )
    if "calls" not in run.seen:
        return f"<p>{escape(said)}</p>"
    drawn = picture(run)
    return (
        f"<figure><figcaption>{escape(said)}</figcaption>"
        f'<div class="scroll">{drawn}</div>{_key(run, drawn)}</figure>\n'
    )


def _key(run: Run, drawn: str) -> str:
    """Say what the marks of a picture mean: those that are in it."""
    marked = zip(PLACES, run.seen["route"], strict=False)
    served = [(kind, f"answered by {name}") for kind, name in marked]
    if any(call["served_by"] == "plain" for call in run.seen["calls"]):
        served = [("first", "answered")]
    shown = [entry for entry in (*served, *KEY) if f'class="{entry[0]}"' in drawn]
    items = "".join(f'<span class="k-{kind}">{escape(words)}</span>' for kind, words in shown)
    return f'<div class="key">{items}</div>'


def _anchor(run: Run) -> str:
    return escape(f"{run.name}-{run.seed}", quote=True)
