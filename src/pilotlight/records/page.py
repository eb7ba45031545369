"""A log as one HTML page that needs nothing but itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from pilotlight.records.money import Money, in_words
from pilotlight.records.summary import Summary
from pilotlight.records.svg import COLOURS, by_day, latencies, over_time, tone
from pilotlight.records.words import calls, cost, escape, facts
from pilotlight.version import __version__

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #5b6570; --line: #d9dee4;
  --lost: #a3218e; --time: #8a949f; --t0: #3569c9; --t1: #d97a0b; --t2: #2b8f7b; --t3: #8a63c7;
  --t4: #b0603f; --t5: #6b7785; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e8ec; --soft: #9aa5b1;
  --line: #343b43; --lost: #e07ad0; --time: #77828e; --t0: #6f9cf0; --t1: #f0a044; --t2: #52bda6;
  --t3: #b393ea; --t4: #d68a67; --t5: #93a0ae; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; }
  section { break-inside: avoid; } }
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--ink); margin: 0 auto; max-width: 68rem;
  padding: 2rem 1.5rem; font: 15px/1.5 system-ui, sans-serif;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; }
p { margin: .2rem 0; } .soft { color: var(--soft); }
.scroll { overflow-x: auto; } svg { display: block; min-width: 40rem; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; text-align: left;
  vertical-align: top; font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; width: 11rem; }
footer { margin-top: 2rem; }
.bars { list-style: none; margin: .5rem 0; padding: 0; }
.bars li { display: grid; grid-template-columns: 11rem minmax(4rem, 1fr) 14rem; gap: 0 .8rem;
  align-items: center; padding: .15rem 0; font-variant-numeric: tabular-nums; }
.bars .name { text-align: right; overflow-wrap: anywhere; }
.bars i { display: block; height: 1.1rem; min-width: 1px; background: var(--c);
  border-radius: 2px; }
@media (max-width: 40rem) { .bars li { grid-template-columns: 1fr auto; }
  .bars .name { text-align: left; } .bars .track { grid-column: 1 / -1; grid-row: 2; } }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: .7rem 0 .2rem; }
.key span::before { content: ""; display: inline-block; width: .8em; height: .8em;
  margin-right: .4em; border-radius: 2px; background: var(--c); vertical-align: -.05em; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .name { fill: var(--ink); }
.grid { stroke: var(--line); } .lost { fill: var(--lost); } .time { fill: var(--time); }
"""
STYLE += " ".join(f".t{n} {{ fill: var(--t{n}); }}" for n in range(COLOURS))


def page(summary: Summary, spent: Money) -> str:
    """Return the whole page; it holds no prompt, no answer and no key."""
    total = sum(route.calls for route in summary.routes.values())
    answered = sum(route.answered for route in summary.routes.values())
    waited = answered + sum(route.unanswered for route in summary.routes.values())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pilotlight receipts</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{answered:,} of {waited:,} calls answered</h1>
<p class="soft">{_span(summary, total)}</p>
</header>
{"".join(_sections(summary, spent))}
<footer><p class="soft">pilotlight {escape(__version__)} · pilotlight receipts --html …</p></footer>
</body>
</html>
"""


def _sections(summary: Summary, spent: Money) -> list[str]:
    # In the order of who served most, which is the order of the colours everywhere.
    targets = sorted(summary.targets, key=lambda name: -summary.targets[name].served)
    spreads = {
        name: summary.targets[name].spread for name in targets if summary.targets[name].served
    }
    found = []
    if summary.timeline.served:
        picture = over_time(summary.timeline, targets)
        found.append(_section("Who answered", picture, _key(list(spreads), targets)))
    why: Counter[str] = Counter()
    for route in summary.routes.values():
        why.update(route.why)
    if why:
        rows = [(reason, float(n), f"{n:,}", "time") for reason, n in why.most_common()]
        found.append(_section("Why a target did not answer a call", _bars(rows, "reasons")))
    if spreads:
        found.append(_section("How long an answer took", latencies(spreads, targets)))
    found += _spent(spent, targets)
    found += [_route(summary, name) for name in summary.routes]
    return found


def _bars(rows: Sequence[tuple[str, float, str, str]], label: str) -> str:
    """Return one bar a row: its name, its length, what is said of it, its colour.

    No picture, but text and boxes: they fold where the screen is narrow.
    """
    longest = max((value for _, value, _, _ in rows), default=0.0) or 1.0
    lines = (
        f'<li><span class="name">{escape(name)}</span><span class="track">'
        f'<i style="--c: var(--{kind}); width: {max(value / longest, 0.002):.1%}"></i></span>'
        f"<span>{escape(said)}</span></li>"
        for name, value, said, kind in rows
    )
    return f'<ul class="bars" aria-label="{escape(label)}">{"".join(lines)}</ul>'


def _section(title: str, picture: str, before: str = "") -> str:
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n{before}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"{picture}</div>\n</section>\n"
    )


def _key(served: list[str], targets: list[str], *, nobody: bool = True) -> str:
    entries = [(tone(name, targets), name) for name in served]
    if nobody:
        entries.append(("lost", "not answered"))
    items = (f'<span style="--c: var(--{kind})">{escape(name)}</span>' for kind, name in entries)
    return f'<div class="key">{"".join(items)}</div>'


def _spent(spent: Money, targets: list[str]) -> list[str]:
    """Return the sections on money: by target, and by day where there are several."""
    if not spent.targets:
        return []
    rows = []
    for name in (each for each in targets if each in spent.targets):
        sums = spent.targets[name]
        said = cost(sums.cost, sums.unknown, sums.attempts)
        rows.append((name, sums.cost, said, tone(name, targets)))
    told = "".join(f"<p>{escape(line)}.</p>" for line in in_words(spent))
    found = [_section("What it cost", _bars(rows, "cost by target, in US dollars"), told)]
    if len(spent.days) > 1:
        payers = [name for name in targets if spent.targets[name].cost]
        key = _key(payers, targets, nobody=False)
        found.append(_section("What it cost, day by day", by_day(spent.days, targets), key))
    return found


def _route(summary: Summary, name: str) -> str:
    rows = (
        f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>"
        for label, text in facts(summary, name)
    )
    said = f'<p class="soft">{escape(calls(summary.routes[name]))}</p>'
    return _section(f"Route {name}", f"<table>{''.join(rows)}</table>", said)


def _span(summary: Summary, total: int) -> str:
    if summary.began is None:
        return "The log holds no calls."
    began, ended = (
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        for at in (summary.began, summary.ended)
    )
    zone = escape(time.strftime("%Z", time.localtime(summary.ended)))
    routes = ", ".join(escape(name) for name in summary.routes)
    return f"{total:,} calls from {began} to {ended} ({zone}). Routes: {routes}."
