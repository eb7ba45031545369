"""Processes of a test, whose words are heard as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


class Workers:
    """Processes whose words are heard as they come."""

    def __init__(self, number: int, script: str, *arguments: str) -> None:
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "chaos" / "src"), *sys.path])
        self.heard: list[list[str]] = [[] for _ in range(number)]
        self.changed = threading.Condition()
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name(script)), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": paths},
            )
            for _ in range(number)
        ]
        self.readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in zip(self.processes, self.heard, strict=True)
        ]
        for each in self.readers:
            each.start()

    def _read(self, process, heard) -> None:
        for line in process.stdout:
            with self.changed:
                heard.append(line.strip())
                self.changed.notify_all()

    def forget(self) -> None:
        """What was heard until now counts no more."""
        with self.changed:
            for heard in self.heard:
                heard.clear()

    def wait(self, *words: str) -> None:
        """Wait until each worker has said one of these words, last of all the states."""
        with self.changed:
            said = lambda: all(set(words) & set(heard) for heard in self.heard)
            assert self.changed.wait_for(said, PATIENCE), f"{words}: {self.heard}"

    def wait_last(self, word: str, among: tuple[str, ...]) -> None:
        """Wait until this is the latest that each worker has said of these words."""

        def last(heard: list[str]) -> str:
            return next((each for each in reversed(heard) if each in among), "")

        with self.changed:
            agreed = lambda: all(last(heard) == word for heard in self.heard)
            assert self.changed.wait_for(agreed, PATIENCE), f"{word}: {self.heard}"

    def say(self, line: str) -> None:
        """Write a line to each."""
        for each in self.processes:
            if each.poll() is None:
                each.stdin.write(f"{line}\n")
                each.stdin.flush()

    def end(self) -> list[dict[str, int]]:
        """Let them end; return what each has counted."""
        for each in self.processes:
            each.stdin.close()
        codes = [each.wait(PATIENCE) for each in self.processes]
        for each in self.readers:
            each.join(PATIENCE)
        errors = "".join(each.stderr.read() for each in self.processes)
        for each in self.processes:
            each.stdout.close()
            each.stderr.close()
        assert codes == [0] * len(codes), errors
        assert "Traceback" not in errors, errors
        return [json.loads(heard[-1]) for heard in self.heard]

    def kill(self) -> None:
        for each in self.processes:
            each.kill()
            each.wait(PATIENCE)
            for pipe in (each.stdin, each.stdout, each.stderr):
                pipe.close()
