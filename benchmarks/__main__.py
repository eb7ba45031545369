"""`make bench`: every figure that the README promises, measured here and now."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.group import FINE, GROUPS, SLOW
from benchmarks.measure import pace
from benchmarks.page import html
from benchmarks.rows import Row, machine, promises, row_of, table
from benchmarks.surge_svg import picture

ROOT = Path(__file__).resolve().parent.parent
STEADY, AGAIN = 1.2, 4  # times the best pace of this run; how often a group is measured again
PATIENCE, LOOK = 240, 5  # seconds to wait for a good pace, and between two looks at it


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of a group, and the machine's pace: the slower of before and after, seconds."""

    rows: list[Row]
    pace: float


def main() -> int:
    """Run as a command."""
    options = _parser().parse_args()
    began = time.monotonic()
    runs = _all(options.only or _usual(options.all), options.patient)
    rows = [row for run in runs for row in run.rows]
    print(table(rows), promises(rows), sep="\n\n")
    missed = [row for row in rows if row.ok is False]
    print(f"\n{len(rows)} figures, {len(missed)} missed, in {time.monotonic() - began:.0f} s")
    if options.plot:
        options.plot.write_text(picture(rows), "utf-8")
    report = _report(rows) | {"paces": [run.pace for run in runs]}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if options.html:
        options.html.write_text(html(report, {}), "utf-8")
    return 1 if missed and options.strict else 0


def _all(names: Sequence[str], patient: bool) -> list[Run]:
    """Measure; patiently: what was measured at a bad pace is measured again at a good one."""
    runs = {name: _paced(name) for name in names}
    for name in [name for name in names if patient and name in FINE]:
        good = STEADY * min(run.pace for run in runs.values())
        for _ in range(AGAIN):
            if runs[name].pace <= good:
                break
            _await(good)
            runs[name] = min(runs[name], _paced(name), key=lambda run: run.pace)
    return list(runs.values())


def _await(good: float) -> None:
    """Wait, not for ever, until others leave the machine alone."""
    until = time.monotonic() + PATIENCE
    while pace() > good and time.monotonic() < until:
        time.sleep(LOOK)


def _paced(name: str) -> Run:
    before = pace()
    rows = _measured(name)
    return Run(rows, max(before, pace()))


def _usual(slow_too: bool) -> list[str]:
    return [name for name in GROUPS if slow_too or name not in SLOW]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--plot", type=Path, help="draw the surge there, as SVG")
    parser.add_argument("--html", type=Path, help="draw all figures there, on one page")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--all", action="store_true", help=f"measure {', '.join(SLOW)} as well")
    parser.add_argument(
        "--patient",
        action="store_true",
        help="measure figures of microseconds again if the machine was slow meanwhile",
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, help="measure only these groups")
    return parser


def _measured(name: str) -> list[Row]:
    """Measure a group in a process of its own, so that none leaves anything to the next."""
    print(f"measuring {name}", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.group", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f": {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [Row(f"{name}: could not be measured", reason, ok=False)]
    return [row_of(each) for each in json.loads(done.stdout.splitlines()[-1])]


def _report(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **machine(),
        "rows": [row.as_json() for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
