"""Make the development environment: the one script behind `make`.

Uses uv where it is installed, else the environment's own pip.  What is installed
is pinned, with hashes, by the constraints file; the distributions of this
repository are installed as editable.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
META = "packages/pilotlight"
MEMBERS = (
    META,
    ".",
    "chaos",
    "plugins/django",
    "plugins/fastapi",
    "plugins/langchain",
    "plugins/llm",
)
USUAL = ("cli", "litellm", "ollama", "otel")  # the extras that `pilotlight` has of the code's own
BUILD = ("hatchling", "editables")  # so that editable installs need no isolated download


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("constraints", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--renew", action="store_true", help="resolve anew; needs uv")
    options = parser.parse_args()
    if options.renew:
        return renew(options.constraints)
    print(f"setting up {options.venv} (first time: about a minute)", flush=True)
    install(options.venv, options.constraints, options.python)
    return 0


def requirements() -> list[str]:
    """Return what the distributions and their development groups ask for."""
    wanted: list[str] = list(BUILD)
    for member in MEMBERS:
        data = tomllib.loads((ROOT / member / "pyproject.toml").read_text("utf-8"))
        wanted += data["project"].get("dependencies", [])
        extras = data["project"].get("optional-dependencies", {})
        wanted += [each for usual in USUAL for each in extras.get(usual, ())]
        wanted += data.get("dependency-groups", {}).get("dev", [])
    return [each for each in wanted if not each.startswith("pilotlight")]


def renew(constraints: Path) -> int:
    """Resolve for every supported Python and write the file, without naming any index.

    What is in the file already stays as it is, as long as it will do; delete it to have all anew.
    """
    command = ["uv", "pip", "compile", "-", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url"]
    command += ["--output-file", str(constraints)]  # whose pins are kept
    done = subprocess.run(
        command, input="\n".join(requirements()), text=True, capture_output=True, check=False
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return done.returncode
    header = "# What is installed, pinned and hashed; renew with `make constraints`.\n"
    constraints.write_text(header + constraints.read_text("utf-8"), "utf-8")
    return 0


def install(venv: Path, constraints: Path, python: str) -> None:
    """Make the environment and install everything into it."""
    uv = shutil.which("uv")
    interpreter = str(venv / "bin" / "python")
    if not (venv / "bin" / "python").exists():
        run([python, "-m", "venv", str(venv)])
    pip = (
        [uv, "pip", "install", "--python", interpreter]
        if uv
        else [interpreter, "-m", "pip", "install"]
    )
    run([*pip, "--quiet", "--require-hashes", "--no-deps", "-r", str(constraints)])
    here = [*pip, "--quiet", "--no-deps", "--no-build-isolation"]
    run([*here, "-e", f"./{META}"])  # first: one that had the code takes its script away with it
    run([*here, *(part for member in MEMBERS[1:] for part in ("-e", f"./{member}"))])


def run(command: list[str]) -> None:
    """Run a step; say which one failed rather than show a traceback."""
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        shown = re.sub(r"\s+", " ", " ".join(command))
        sys.exit(f"setting up failed at: {shown}")


if __name__ == "__main__":
    sys.exit(main())
