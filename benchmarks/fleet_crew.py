"""Workers as processes, and a Redis of our own, for `benchmarks.fleet`."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
PATIENCE = 120.0  # a loaded machine starts sixteen workers slowly


class Crew:
    """Worker processes, and what each has said so far: (word, the rest)."""

    def __init__(self, number: int, config: dict[str, Any], pace: float) -> None:
        told = json.dumps({"config": config, "pace": pace})
        self.heard: list[list[tuple[str, str]]] = [[] for _ in range(number)]
        self._changed = threading.Condition()
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.fleet_worker", told],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for _ in range(number)
        ]
        for each, heard in zip(self._processes, self.heard, strict=True):
            threading.Thread(target=self._listen, args=(each, heard), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str], heard: list[tuple[str, str]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            with self._changed:
                heard.append((word, rest))
                self._changed.notify_all()

    def wait(self, word: str, since: float = 0.0) -> list[float]:
        """Wait until each has said the word since a moment; return when each first did."""

        def first(heard: list[tuple[str, str]]) -> float | None:
            times = (float(rest) for said, rest in heard if said == word)
            return next((each for each in times if each >= since), None)

        with self._changed:
            if not self._changed.wait_for(lambda: None not in map(first, self.heard), PATIENCE):
                raise TimeoutError(f"not every worker has said {word!r}")
            return [each for heard in self.heard if (each := first(heard)) is not None]

    def times(self, word: str, since: float) -> list[float]:
        """Return when any of them has said the word since a moment, in order."""
        with self._changed:
            said = [rest for heard in self.heard for each, rest in heard if each == word]
        return sorted(at for at in map(float, said) if at >= since)

    def end(self) -> dict[str, int]:
        """Let them end; return their counts together."""
        for each in self._processes:
            assert each.stdin is not None
            each.stdin.close()
        for each in self._processes:
            each.wait(PATIENCE)
        with self._changed:
            self._changed.wait_for(self._ended, PATIENCE)
        counts = [json.loads(heard[-1][1]) for heard in self.heard]
        return {key: sum(each[key] for each in counts) for key in ("calls", "failed")}

    def _ended(self) -> bool:
        return all(heard and heard[-1][0] == "ended" for heard in self.heard)

    def kill(self) -> None:
        """End them at once: something went wrong."""
        for each in self._processes:
            each.kill()


class Redis:
    """A server on loopback that keeps nothing on disk."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        assert SERVER is not None
        command = [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def round_trips(self) -> int:
        """Count the commands that clients have sent since the start; those of scripts are not."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            stats = client.info("commandstats")
        names = ("evalsha", "eval", "script|load", "hello", "client|setinfo")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a server for the block."""
    server = Redis()
    server.start()
    try:
        yield server
    finally:
        server.kill()
