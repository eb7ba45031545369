"""What the caller gets from pilotlight and from its peers: `make bench-peers`.

The peers are installed into an environment of their own at the first run; all
of them meet the same faults of the same chaos server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparison import Comparison, page, table
from benchmarks.contest import ROOT, Finding, Worker, contest, outage
from benchmarks.house import says
from pilotlight_chaos import ChaosServer

HOME = ROOT / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("peers-requirements.txt")
PEERS = ("litellm", "langchain", "pydantic-ai")
TUNED = "litellm-tuned"


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page of the comparison there")
    parser.add_argument("--json", type=Path, help="write the findings there as JSON")
    options = parser.parse_args()
    found = compare(str(_peers_python()))
    print(table(found))
    if options.write:
        options.write.write_text(page(found), "utf-8")
    if options.json:
        options.json.write_text(json.dumps(found.as_json(), indent=2) + "\n", "utf-8")
    return 0


def _peers_python() -> Path:
    """Return the peers' interpreter, installing them if their list has changed."""
    python = HOME / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    stamp, wanted = HOME / ".installed", REQUIREMENTS.read_text("utf-8")
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return python
    print(f"installing the peers into {HOME.name} (first time: a minute or two)", file=sys.stderr)
    if not python.exists():
        venv.create(HOME, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
    if subprocess.run(install, check=False).returncode:
        sys.exit("installing the peers failed; the network may be needed for the first run")
    stamp.write_text(wanted, "utf-8")
    return python


def compare(peers_python: str) -> Comparison:
    """Let each contestant meet every fault."""
    findings: dict[str, dict[str, Finding]] = {}
    versions: dict[str, str] = {}
    with ChaosServer(reply=says) as server:
        for name in ("pilotlight", *PEERS):
            print(f"asking {name}", file=sys.stderr)
            worker = Worker(sys.executable if name == "pilotlight" else peers_python, name)
            try:
                findings[name] = contest(server, worker)
            finally:
                worker.stop()
            versions |= worker.versions
        worker = Worker(peers_python, TUNED)
        try:
            tuned = outage(server, worker)
        finally:
            worker.stop()
    return Comparison(findings, versions, tuned, datetime.now(UTC).date().isoformat())


if __name__ == "__main__":
    sys.exit(main())
