"""Make .venv-recipes: the frameworks that the recipes are for, and this pilotlight.

Their versions are those of `examples/recipes/requirements.txt`, all of them: nothing is looked for.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from setup_env import ROOT, run

VENV = ROOT / ".venv-recipes"
WANTED = ROOT / "examples" / "recipes" / "requirements.txt"
NPM = "openai@6"


def main() -> int:
    """Run as a command."""
    done = VENV / ".ready"
    if done.exists() and done.stat().st_mtime > WANTED.stat().st_mtime:
        return 0
    print(f"setting up {VENV.name} (first time: a minute)", flush=True)
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*pip, "-r", str(WANTED)])
    run([*pip, "-e", str(ROOT), "-e", str(ROOT / "chaos")])
    if (npm := shutil.which("npm")) is not None:
        command = [npm, "install", "--silent", "--no-audit", "--prefix", str(VENV / "node"), NPM]
        subprocess.run(command, check=False)  # the test says so where it is missing
    done.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
