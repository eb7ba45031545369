"""Run the LangChain plugin's suites with the oldest and the newest LangChain that it supports.

Each has an environment of its own, `.venv-langchain-oldest` and `.venv-langchain-newest`: what
`make setup` installs, with LangChain in another version.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib

from setup_env import ROOT, install, run

PLUGIN = ROOT / "plugins" / "langchain"
PARTNERS = ["langchain-openai", "langchain-anthropic", "langchain-ollama", "langchain-tests"]
AGES = ("oldest", "newest")
VERSIONS = """
import sys
from importlib.metadata import version
for name in sys.argv[1:]:
    print(name, version(name))
"""


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ages", nargs="*", default=AGES, help=", ".join(AGES))
    options = parser.parse_args()
    if unknown := set(options.ages) - set(AGES):
        parser.error(f"no such age: {', '.join(sorted(unknown))}; there are {', '.join(AGES)}")
    return max(tried(age) for age in options.ages)


def tried(age: str) -> int:
    """Install, say what it is, and run the suites; return pytest's exit code."""
    venv = ROOT / f".venv-langchain-{age}"
    print(f"setting up {venv.name} (first time: two minutes)", flush=True)
    install(venv, ROOT / "constraints.txt", sys.executable)
    python = str(venv / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", "--upgrade", *wanted(age), *PARTNERS])
    run([python, "-c", VERSIONS, "langchain-core", "langchain", *PARTNERS])
    pytest = [str(venv / "bin" / "pytest"), "-q", "-n", "auto", "--dist=worksteal"]
    return subprocess.run(pytest, cwd=PLUGIN, check=False).returncode


def wanted(age: str) -> list[str]:
    """Return what to install of LangChain itself: as asked for, or each at its floor."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["agents"]]
    ours = [each for each in asked if each.startswith("langchain")]
    if age == "newest":
        return ours
    return [re.sub(r">=([\d.]+),.*", r"==\1.0", each) for each in ours]


if __name__ == "__main__":
    sys.exit(main())
