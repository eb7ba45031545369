"""All figures of a run on one page that needs nothing else: plots, tables, versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.chart import chart_of
from benchmarks.chart_svg import STYLE, inline
from benchmarks.rows import PROMISES, Row, row_of
from benchmarks.speed_rows import NAMES

Report = Mapping[str, Any]
CSS = """
:root{--page:#fff;--ink:#16181c;--soft:#5b636e;--line:#dde1e6;--ok:#1a7f4b;--miss:#b3261e;
--zebra:#f6f7f9}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--page:#14171c;--ink:#eef1f5;
--soft:#aab2bd;--line:#2c323b;--ok:#5fcf95;--miss:#f28b82;--zebra:#1a1e25}}
@media print{figure,tr{break-inside:avoid}.wide{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
body{margin:0 auto;max-width:1180px;padding:24px 20px 60px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 10px}
p{color:var(--soft);margin:4px 0 12px;max-width:75ch}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:14px}
figure{margin:0;border:1px solid var(--line);border-radius:8px;overflow:hidden}
svg{display:block;width:100%;height:auto}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;line-height:1.4}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}
.wide{margin-top:14px}.dense table{font-size:11.5px}
.dense th,.dense td{padding:5px 6px}.dense td:first-child{min-width:7em}
tbody tr:nth-child(even){background:var(--zebra)}
td:first-child{font-weight:500;min-width:15em}
.ok{color:var(--ok);font-weight:600}.MISS{color:var(--miss);font-weight:600}
.key span{margin-right:16px}.key i{display:inline-block;width:11px;height:11px;border-radius:2px;
margin-right:6px}
i.o{background:#2563b8}i.b{background:#8b95a3}i.p{background:#d98a4b}
"""
KEY = (
    '<p class="key"><span><i class="o"></i>pilotlight</span><span><i class="b"></i>the same wire '
    'without anybody</span><span><i class="p"></i>peers</span><span>thin line: the middle half of '
    "the rounds; dashed: the target</span></p>"
)


def html(bench: Report, peers: Report) -> str:
    """Return the page of what there is of the two runs."""
    ours, theirs = rows(bench), rows(peers)
    body = [
        "<h1>pilotlight, measured</h1>",
        f"<p>{escape(measured_on(bench or peers))}</p>",
        KEY,
    ]
    if ours:
        body.append(_section("The promises", _promised(ours)))
    if theirs:
        body.append(_section("Beside the peers, in one run", _plots(theirs) + _cells(theirs)))
    if ours:
        body.append(_section("Beside the same wire without us", _plots(ours)))
        body.append(_section("Every figure", _figures(ours)))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>pilotlight, measured</title><style>{CSS}{STYLE}</style>"
        + "\n".join(body)
        + f"\n<p>{escape(versions_of(bench, peers))}</p></html>\n"
    )


def rows(report: Report) -> list[Row]:
    return [row_of(each) for each in report.get("rows", ())]


def measured_on(report: Report) -> str:
    """Tell when and on what, in a sentence."""
    return (
        f"Measured on {report['date'][:10]}: {report['cores']} cores, {report['system']}, "
        f"Python {report['python']}, loopback.{_paces(report.get('paces', ()))}"
    )


def _paces(seconds: Sequence[float]) -> str:
    """Tell how steady the machine was."""
    if not seconds:
        return ""
    low, high = min(seconds) * 1e3, max(seconds) * 1e3
    return (
        f"  A loop of a million additions, timed around each group of figures, took {low:.0f} to "
        f"{high:.0f} ms: that is how much the machine's own pace varied."
    )


def versions_of(bench: Report, peers: Report) -> str:
    """Tell the versions of everybody."""
    here = (bench or peers).get("versions_here", {})
    told = [f"here: {_listed(here)}"] if here else []
    told += [
        f"{NAMES[name].replace('`', '')}: {_listed(each)}"
        for name, each in peers.get("speed_versions", {}).items()
    ]
    return f"Versions. {'; '.join(told)}."


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}"


def _plots(found: Sequence[Row]) -> str:
    drawn = "".join(
        f"<figure>{inline(chart_of(row.chart))}</figure>" for row in found if row.chart is not None
    )
    return f'<div class="plots">{drawn}</div>'


def _promised(found: Sequence[Row]) -> str:
    lines = [
        (PROMISES[row.promise], row.figure, row.measured, row.target, row.verdict)
        for name in PROMISES
        for row in found
        if row.promise == name
    ]
    return _table(("promise", "figure", "measured", "target", "verdict"), lines)


def _figures(found: Sequence[Row]) -> str:
    lines = ((row.figure, row.measured, row.target, row.verdict, row.peers) for row in found)
    return _table(("figure", "measured", "target", "verdict", "others"), lines)


def _cells(found: Sequence[Row]) -> str:
    """Return the peers' table the other way round from the terminal's: a line each."""
    names = [name for name in NAMES if any(name in row.values["cells"] for row in found)]
    header = ["", *(row.figure for row in found)]
    lines = [
        [NAMES[name].replace("`", ""), *(row.values["cells"].get(name, "-") for row in found)]
        for name in names
    ]
    lines.append(["target", *(row.target for row in found)])
    lines.append(["verdict", *(row.verdict for row in found)])
    return _table(header, lines, dense=True)


def _table(header: Sequence[str], lines: Iterable[Sequence[str]], dense: bool = False) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in header)
    body = "".join(f"<tr>{''.join(_cell(each) for each in line)}</tr>" for line in lines)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="{"wide dense" if dense else "wide"}">{table}</div>'


def _cell(text: str) -> str:
    marked = f' class="{text}"' if text in ("ok", "MISS") else ""
    return f"<td{marked}>{escape(text)}</td>"
