"""The last full run as `docs/performance.md`, its pictures and a page: `make bench-docs`.

    python -m benchmarks.publish bench.json peers.json

Reads what `python -m benchmarks --json` and `python -m benchmarks.peers --json` wrote.
Nothing is measured here, so the words can be mended without another run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chart import Chart, chart_of
from benchmarks.chart_svg import svg
from benchmarks.page import Report, html, measured_on, rows, versions_of
from benchmarks.rows import Row, promises, table
from benchmarks.speed_rows import speed_table
from benchmarks.words import ARGUED, PAGE

DOCS = Path(__file__).resolve().parent.parent / "docs"
UNARGUED = "missed in this run, and no reason is known yet."
PICTURES = {  # name: title, and how the titles of its charts begin
    "cost": ("what a call and a stream cost", ("a call, all", "a 20-chunk stream", "time to")),
    "outage": (
        "what an outage costs",
        ("requests on a dead primary", "callers let through", "a call that meets"),
    ),
    "scale": ("many calls at once", ("200 in flight", "2000 in flight", "32 callers")),
    "start": ("imports", ("import", "memory of an import")),
}


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__)
    parser.add_argument("bench", type=Path, help="what `make bench` wrote with --json")
    parser.add_argument("peers", type=Path, help="what `make bench-peers` wrote with --json")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page and pictures go")
    parser.add_argument("--html", type=Path, help="write all figures there as one page as well")
    options = parser.parse_args()
    bench, peers = (json.loads(path.read_text("utf-8")) for path in (options.bench, options.peers))
    (options.docs / "performance.md").write_text(page(bench, peers), "utf-8")
    for name, drawn in pictures([*rows(peers), *rows(bench)]).items():
        (options.docs / f"performance-{name}.svg").write_text(drawn, "utf-8")
    if options.html:
        options.html.write_text(html(bench, peers), "utf-8")
    return 0


def page(bench: Report, peers: Report) -> str:
    """Return the page of documentation."""
    ours, theirs = rows(bench), rows(peers)
    return PAGE.format(
        measured=measured_on(bench),
        promises=promises(ours),
        speed=speed_table(theirs),
        figures=table(ours),
        missed=argued([*ours, *theirs]),
        versions=versions_of(bench, peers),
    )


def argued(found: Sequence[Row]) -> str:
    """Say of each figure that misses its target why; what has no reason is said to have none."""
    missed = [row.figure for row in found if row.ok is False]
    told = [f"- **{row}**: {_reason(row)}" for row in missed]
    return "\n".join(told) or "Nothing, in this run."


def _reason(figure: str) -> str:
    reasons = [said for start, said in ARGUED.items() if figure.startswith(start)]
    return reasons[0] if reasons else UNARGUED


def pictures(found: Sequence[Row]) -> dict[str, str]:
    """Return the pictures that there are charts for; of two with one title the first is drawn."""
    charts: dict[str, Chart] = {}
    for row in found:
        if row.chart is not None:
            charts.setdefault(row.chart["title"], chart_of(row.chart))
    drawn = {}
    for name, (title, starts) in PICTURES.items():
        picked = [chart for told, chart in charts.items() if told.startswith(starts)]
        if picked:
            drawn[name] = svg(picked, title)
    return drawn


if __name__ == "__main__":
    sys.exit(main())
