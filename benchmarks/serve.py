"""A chaos server in a process of its own, for figures of microseconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pilotlight_chaos import ChaosServer
from pilotlight_chaos.answers import Replier

TOKENS = 400


def says(tokens: int) -> Replier:
    """One word to whoever wants it whole, many to whoever streams."""
    return lambda ask: "word " * (tokens if ask.stream else 1)


@contextmanager
def apart(name: str, latency: float = 0.0, tokens: int = TOKENS) -> Iterator[str]:
    """Yield the base address of a server that runs elsewhere and takes so many seconds a call."""
    command = [sys.executable, "-m", "benchmarks.serve", name, str(latency), str(tokens)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(timeout=10)
        server.stdout.close()


def main() -> int:
    """Serve until standard input ends."""
    with ChaosServer(reply=says(int(sys.argv[3])), latency=float(sys.argv[2])) as server:
        print(server.base(sys.argv[1]), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
