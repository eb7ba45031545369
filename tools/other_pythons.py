"""Run the tests with every supported Python that is here besides the usual one.

An interpreter is looked for in PATH and among pyenv's; each gets an environment of its own
(`.venv-python3.12`), installed as `make setup` does it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.12", "3.13")
PYENV = Path.home() / ".pyenv" / "versions"
SUITES = {
    ".": ["-n", "auto", "--dist=worksteal", "--hypothesis-profile=quick"],
    "plugins/django": ["-n", "auto"],
}


def main() -> int:
    """Run as a command; 0 when all that could be run was well, and something could."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("constraints", type=Path)
    parser.add_argument("arguments", nargs="*", help="for pytest, instead of the whole suites")
    options = parser.parse_args()
    found = {version: python for version in VERSIONS if (python := interpreter(version))}
    for version in VERSIONS:
        if version not in found:
            print(f"Python {version} is not here: not tested")
    wrong = [
        version
        for version, python in found.items()
        if not tested(version, python, options.constraints, options.arguments)
    ]
    print(f"tested: {', '.join(found) or 'none'}; failed: {', '.join(wrong) or 'none'}")
    return 1 if wrong or not found else 0


def interpreter(version: str) -> str | None:
    """Return a Python of this version that runs."""
    pyenv = sorted(map(str, PYENV.glob(f"{version}.*/bin/python")))
    for each in filter(None, (shutil.which(f"python{version}"), *pyenv)):
        # pyenv's shims are in PATH even for versions that are not chosen, and then fail
        if not subprocess.run([each, "--version"], capture_output=True, check=False).returncode:
            return each
    return None


def tested(version: str, python: str, constraints: Path, arguments: list[str]) -> bool:
    """Make the environment and run the suites; tell whether all went well."""
    venv = ROOT / f".venv-python{version}"
    made = [sys.executable, "tools/setup_env.py", "--python", python, str(venv), str(constraints)]
    if subprocess.run(made, cwd=ROOT, check=False).returncode:
        return False
    suites = {".": arguments} if arguments else SUITES
    ends = [
        subprocess.run(
            [str(venv / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
            cwd=ROOT / place,
            check=False,
        ).returncode
        for place, words in suites.items()
    ]
    return not any(ends)


if __name__ == "__main__":
    sys.exit(main())
