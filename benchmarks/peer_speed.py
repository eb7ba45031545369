"""One contestant in a process of its own, for figures: reads jobs, answers with seconds.

    python -m benchmarks.peer_speed langchain

Like `peer_worker` it runs in the peers' environment.  The jobs are lines of JSON, see `JOBS`.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from benchmarks.contestants import CONTESTANTS, Contestant, Setup

Json = dict[str, Any]


class Said(list[str]):
    """The text of a stream, and when its first came."""

    first: float | None = None

    def append(self, piece: str) -> None:
        if piece and self.first is None:
            self.first = time.perf_counter()
        super().append(piece)


class Connects:
    """How often this process tried to connect to each port."""

    def __init__(self) -> None:
        self.tried: dict[int, int] = {}
        sys.addaudithook(self._hear)

    def _hear(self, event: str, said: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(said[1], tuple):
            port = said[1][1]
            self.tried[port] = self.tried.get(port, 0) + 1


def _calls(client: Contestant, times: int) -> Json:
    """Make so many calls, and return the means."""
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        client.ask()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    return {"wall": wall / times, "cpu": cpu / times}


def _streams(client: Contestant, times: int) -> Json:
    """Read so many streams; also return the mean time to the first token."""
    waited = 0.0
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        asked, said = time.perf_counter(), Said()
        client.stream(said)
        waited += (said.first or time.perf_counter()) - asked
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    return {"wall": wall / times, "cpu": cpu / times, "first": waited / times}


def _run(client: Contestant, calls: int, cap: float) -> Json:
    """Make calls one after the other until there are enough or the time is up."""
    spent: list[float] = []
    errors, until = 0, time.perf_counter() + cap
    while len(spent) < calls and time.perf_counter() < until:
        began = time.perf_counter()
        try:
            client.ask()
        except Exception:
            errors += 1
        spent.append(time.perf_counter() - began)
    return {"spent": spent, "errors": errors}


def _crowd(client: Contestant, count: int) -> Json:
    """Let so many callers ask at once."""
    began = time.perf_counter()
    answered = client.crowd(count)
    return {"wall": time.perf_counter() - began, "answered": answered}


JOBS: Mapping[str, Callable[..., Json]] = {
    "calls": _calls,
    "streams": _streams,
    "run": _run,
    "crowd": _crowd,
}


def main() -> int:
    """Work through the jobs on standard input; `make` makes the client of those that follow."""
    warnings.simplefilter("ignore")
    make = CONTESTANTS[sys.argv[1]]
    connects = Connects()
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps({name: version(name) for name in make.packages}), file=out, flush=True)
    client: Contestant | None = None
    for line in sys.stdin:
        job = json.loads(line)
        if job["job"] == "make":
            client = make(job["primary"], job["backup"], Setup(**job["setup"]))
            said: Json = {}
        else:
            assert client is not None
            said = JOBS[job["job"]](client, **job["with"])
        said["tried"] = connects.tried
        print(json.dumps(said), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
