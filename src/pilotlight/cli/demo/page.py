"""The demo's report: one HTML page that needs nothing but itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pilotlight.cli.demo.picture import picture
from pilotlight.version import __version__

if TYPE_CHECKING:
    from pilotlight.cli.demo.play import Play
    from pilotlight.cli.demo.tally import Tally

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #d9dee4;
  --band: #f3f5f8; --ill: #fbeeee; --primary: #3569c9; --local: #d97a0b; --lost: #a3218e;
  --closed: #3c9a57; --open: #cf3b42; --half: #d9a400; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e8ec; --soft: #9aa5b1;
  --line: #343b43; --band: #1c2127; --ill: #2c1d20; --primary: #6f9cf0; --local: #f0a044;
  --lost: #e07ad0; --closed: #57b974; --open: #ef6168; --half: #edc240; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --band: #f3f3f3;
  --ill: #f9e8e8; } section { break-inside: avoid; } }
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--ink); margin: 0 auto; max-width: 68rem;
  padding: 2rem 1.5rem; font: 15px/1.5 system-ui, sans-serif;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; }
p { margin: .2rem 0; } .soft { color: var(--soft); } .bad { color: var(--lost); }
.scroll { overflow-x: auto; } svg { display: block; min-width: 40rem; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; text-align: left;
  vertical-align: top; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; } td.n, th.n { text-align: right; white-space: nowrap; }
td.n { font-weight: 600; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: .7rem 0 .2rem; }
.key span::before { content: ""; display: inline-block; width: .8em; height: .8em;
  margin-right: .4em; border-radius: 2px; background: var(--c); vertical-align: -.05em; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .name { fill: var(--ink); }
.band { fill: var(--band); } .ill { fill: var(--ill); } .grid { stroke: var(--line); }
.primary { fill: var(--primary); } .local { fill: var(--local); } .lost { fill: var(--lost); }
.closed { fill: var(--closed); } .open { fill: var(--open); } .half-open { fill: var(--half); }
"""


def page(play: Play, result: Tally) -> str:
    """Return the whole page; it holds no question, no answer and no key."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pilotlight demo</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(_capital(result.verdict))}</h1>
{_problems(result)}
<p class="soft">{escape(_scene(play, result))}</p>
</header>
<section>
<h2>Who answered, second by second</h2>
{_key()}
<div class="scroll">{picture(play, result)}</div>
</section>
<section>
<h2>The numbers</h2>
<div class="scroll">{_numbers(result)}</div>
</section>
<section>
<h2>Phase by phase</h2>
<div class="scroll">{_phases(play, result)}</div>
</section>
<section>
<h2>Breaker transitions</h2>
<div class="scroll">{_transitions(result)}</div>
</section>
<footer><p class="soft">pilotlight {escape(__version__)} · pilotlight demo
 --seconds {result.seconds:g} --seed {result.seed} --report …</p></footer>
</body>
</html>
"""


def _scene(play: Play, result: Tally) -> str:
    return (
        f"{result.seconds:g} seconds of questions through the route primary → local. "
        f"primary: openai/gpt-4o, played by pilotlight-chaos. "
        f"local: {result.local_model}, {result.local_says}. "
        f"{play.workers} workers, at most {play.rate:g} calls a second."
    )


def _problems(result: Tally) -> str:
    return "".join(f'<p class="bad">{escape(problem)}</p>' for problem in result.problems)


def _key() -> str:
    entries = (
        ("primary", "answered by primary"),
        ("local", "answered by local"),
        ("lost", "not answered"),
        ("closed", "breaker closed"),
        ("half", "half-open"),
        ("open", "open"),
    )
    items = (f'<span style="--c: var(--{name})">{label}</span>' for name, label in entries)
    return f'<div class="key">{"".join(items)}</div>'


def _numbers(result: Tally) -> str:
    rows = (
        f'<tr><td>{escape(label)}</td><td class="n">{escape(value)}</td>'
        f'<td class="soft">{escape(note)}</td></tr>'
        for label, value, note in result.rows()
    )
    return f"<table>{''.join(rows)}</table>"


def _phases(play: Play, result: Tally) -> str:
    says = {phase.name: phase.says for phase in play.script.phases}
    head = "".join(f'<th class="n">{word}</th>' for word in ("calls", "primary", "local", "lost"))
    rows = (
        f'<tr><td>{escape(row.phase)}</td><td class="soft">{escape(says[row.phase])}</td>'
        + "".join(
            f'<td class="n">{count}</td>'
            for count in (row.calls, row.primary, row.local, row.unanswered)
        )
        + "</tr>"
        for row in result.phases
    )
    return f"<table><tr><th>phase</th><th>the closed API</th>{head}</tr>{''.join(rows)}</table>"


def _transitions(result: Tally) -> str:
    rows = (
        f'<tr><td class="n">{change.at:.2f} s</td><td>{escape(change.target)}</td>'
        f"<td>{escape(change.old)} → {escape(change.new)}</td>"
        f'<td class="soft">{escape(change.reason)}</td></tr>'
        for change in result.transitions
    )
    head = '<tr><th class="n">at</th><th>target</th><th>breaker</th><th>reason</th></tr>'
    return f"<table>{head}{''.join(rows)}</table>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
