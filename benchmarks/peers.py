"""What the caller gets from pilotlight and from its peers: `make bench-peers`.

The peers are installed into environments of their own at the first run; all of
them meet the same faults of the same chaos server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, page, table, waits_table
from benchmarks.contest import ROOT, Finding, Worker, contest, outage
from benchmarks.house import says
from benchmarks.page import html
from benchmarks.rows import machine
from benchmarks.speed import measured
from benchmarks.speed_rows import speed_table
from benchmarks.waits import DEFAULTS, TUNED, Entry, waits
from pilotlight_chaos import ChaosServer

HOME = ROOT / ".venv-peers"
HERE = Path(__file__).parent
REQUIREMENTS = {
    "litellm": HERE / "peers-litellm-requirements.txt",
    "agents": HERE / "peers-requirements.txt",
}
PEERS = {"litellm": "litellm", "langchain": "agents", "pydantic-ai": "agents"}
COLUMNS = ("pilotlight", *PEERS)
COOLING = "litellm-tuned"
TUNING = {"litellm": COOLING}  # who is another contestant when it is tuned


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page of the comparison there")
    parser.add_argument("--json", type=Path, help="write everything found there as JSON")
    parser.add_argument("--html", type=Path, help="draw the figures there, on one page")
    parser.add_argument("--only", choices=("faults", "waits", "speed"), help="do only this")
    options = parser.parse_args()
    if options.write and options.only in ("waits", "speed"):
        parser.error(f"--write needs the faults: leave --only {options.only} away")
    began = time.monotonic()
    interpreters = {name: str(_interpreter(name)) for name in REQUIREMENTS}
    said = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    if options.only in (None, "speed"):
        said |= _speed(interpreters)
    if options.only in (None, "faults"):
        said |= _faults(interpreters, options.write)
    if options.only == "waits":
        said |= _waits(interpreters)
    print(f"\nin {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(said, indent=2) + "\n", "utf-8")
    if options.html:
        options.html.write_text(html({}, said), "utf-8")
    return 0


def _speed(interpreters: Mapping[str, str]) -> dict[str, Any]:
    rows, versions = measured(interpreters)
    print(speed_table(rows), end="\n\n")
    return {"rows": [row.as_json() for row in rows], "speed_versions": versions, **machine()}


def _faults(interpreters: Mapping[str, str], write: Path | None) -> dict[str, Any]:
    found = compare(interpreters)
    print(table(found), waits_table(found.waits), waits_table(found.waits_tuned), sep="\n\n")
    if write:
        write.write_text(page(found), "utf-8")
    return found.as_json()


def _waits(interpreters: Mapping[str, str]) -> dict[str, Any]:
    with ChaosServer(reply=says) as server:
        plain, tuned = wait_for_each(server, interpreters)
    print(waits_table(plain), waits_table(tuned), sep="\n\n")
    return {"waits": plain, "waits_tuned": tuned}


def _interpreter(name: str) -> Path:
    """Return the interpreter of an environment, installing it if its list has changed."""
    home = HOME / name
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    stamp, wanted = home / ".installed", REQUIREMENTS[name].read_text("utf-8")
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    print(f"installing into {HOME.name}/{name} (first time: a minute)", file=sys.stderr)
    if not python.exists():
        venv.create(home, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS[name])]
    if subprocess.run(install, check=False).returncode:
        sys.exit("installing the peers failed; the network may be needed for the first run")
    stamp.write_text(wanted, "utf-8")
    return python


def compare(interpreters: Mapping[str, str]) -> Comparison:
    """Let each contestant meet every fault."""
    findings: dict[str, dict[str, Finding]] = {}
    versions: dict[str, dict[str, str]] = {}
    with ChaosServer(reply=says) as server:
        for name in COLUMNS:
            print(f"asking {name}", file=sys.stderr)
            with closing(Worker(_python(name, interpreters), name)) as worker:
                findings[name] = contest(server, worker)
                versions[name] = worker.versions
        with closing(Worker(interpreters[PEERS["litellm"]], COOLING)) as worker:
            tuned = outage(server, worker)
        times = wait_for_each(server, interpreters)
    return Comparison(findings, versions, tuned, *times, datetime.now(UTC).date().isoformat())


def wait_for_each(
    server: ChaosServer, interpreters: Mapping[str, str]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """Let each contestant wait, as it comes and tuned; return the two tables by column."""
    print("waiting with all of them (8 min)", file=sys.stderr)
    plain = [Entry(name, _python(name, interpreters), DEFAULTS) for name in COLUMNS]
    tuned = [replace(each, setup=TUNED, name=TUNING.get(each.name, each.name)) for each in plain]
    found = waits(server, [*plain, *tuned])
    count = len(COLUMNS)
    return (
        dict(zip(COLUMNS, found[:count], strict=True)),
        dict(zip(COLUMNS, found[count:], strict=True)),
    )


def _python(name: str, interpreters: Mapping[str, str]) -> str:
    return interpreters[PEERS[name]] if name in PEERS else sys.executable


if __name__ == "__main__":
    sys.exit(main())
