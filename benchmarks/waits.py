"""What a failing primary costs in time: each contestant at its defaults, and as people tune it.

The contestants play side by side, each in a process of its own: nearly all they do is wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contest import STARTING, Worker
from benchmarks.contestants import Setup
from benchmarks.house import BACKUP, PRIMARY, fresh
from pilotlight_chaos import ChaosServer

OUTAGE = 62.0  # seconds for which the primary is down; its end falls between two calls
EVERY = 4.0  # seconds between two calls meanwhile
GIVEN_UP = 60.0  # seconds after its healing, without an answer of its
SILENCE = 6.0  # seconds before a slow failure
ASKED = 5.0  # seconds of a Retry-After
LONGEST = 130.0  # seconds that a call is waited for
DEFAULTS, TUNED = Setup(defaults=True), Setup(timeout=10.0, pause=5.0)


class Match:
    """One contestant with fresh clients, and its own primary and backup on the server."""

    def __init__(self, server: ChaosServer, worker: Worker, setup: Setup) -> None:
        self.server, self._worker, self._setup = server, worker, setup
        self.primary, self._backup = fresh(PRIMARY), fresh(BACKUP)
        self.slowest = 0.0  # seconds that a call has taken
        self.got = ""  # by the latest: a role, an error's name, or `nothing`

    def ask(self, patience: float = LONGEST) -> None:
        """Make a call, and wait for its end."""
        job = {
            "primary": f"{self.server.base(self.primary)}/v1",
            "backup": f"{self.server.base(self._backup)}/v1",
            "stream": False,
            "setup": asdict(self._setup),
            "patience": patience,
        }
        began = time.monotonic()
        answer = self._worker.ask(job)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if answer is None:
            self.got = "nothing"
        else:
            text = answer["text"]
            self.got = answer["error"] or (PRIMARY if text.startswith("P") else BACKUP)

    def fault(self, kind: str, **params: Any) -> None:
        """Let the primary fail from now on, besides what is set already."""
        self.server.fault(self.primary, kind, add=True, **params)

    @property
    def failed(self) -> list[float]:
        """The moments, in seconds since the epoch, of the requests that the primary failed."""
        return [each.time for each in self.server.requests(self.primary) if each.fault]

    def costs(self) -> str:
        """Tell what the slowest call took, how the latest ended, and whom they asked how often."""
        if self.got == "nothing":
            return f"STILL WAITING after {LONGEST:.0f} s"
        ended = "" if self.got in (PRIMARY, BACKUP) else f", raises {self.got}"
        asked = f"P{len(self.failed)} F{self.server.hits(self._backup)}"
        return f"{self.slowest:.1f} s{ended} · {asked}"


def _back(match: Match) -> str:
    """Call every few seconds, through an outage and until the primary is used again."""
    match.ask()
    match.slowest = 0.0
    match.fault("overloaded", schedule=[(0.0, OUTAGE)])
    began = time.monotonic()
    for due in _ticks(began, OUTAGE + GIVEN_UP):
        match.ask()
        if match.got == PRIMARY and due - began > OUTAGE:
            after = time.monotonic() - began - OUTAGE
            return f"after {after:.0f} s · P{len(match.failed)}, slowest {match.slowest:.1f} s"
    return f"not in {GIVEN_UP:.0f} s · P{len(match.failed)}, slowest {match.slowest:.1f} s"


def _ticks(began: float, seconds: float) -> Iterator[float]:
    """Yield the moments of calls, when they have come; one that is missed comes at once."""
    due = began
    while due < began + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        yield max(due, time.monotonic())
        due = max(due + EVERY, time.monotonic())


def _slow(match: Match) -> str:
    match.fault("slow", seconds=SILENCE)
    match.fault("bad_gateway")
    match.ask()
    return match.costs()


def _asked_to_wait(match: Match) -> str:
    """Make three calls in a row; what reaches the primary after its word comes too early."""
    match.fault("overloaded", retry_after=ASKED)
    for _ in range(3):
        match.ask()
    first, *others = match.failed
    early = sum(moment < first + ASKED for moment in others)
    return f"{early} too early · slowest {match.slowest:.1f} s"


def _hang(match: Match) -> str:
    match.fault("hang")
    match.ask()
    return match.costs()


def _hang_after_success(match: Match) -> str:
    match.ask()
    match.slowest = 0.0
    return _hang(match)


WAITS: Mapping[str, Callable[[Match], str]] = {
    f"back on the primary after {OUTAGE:.0f} s of 503": _back,
    f"a 502 after {SILENCE:.0f} s of silence": _slow,
    f"a 503 with Retry-After {ASKED:.0f}, three calls": _asked_to_wait,
    "a hang, unstreamed, first call": _hang,
    "a hang, unstreamed, right after an answer": _hang_after_success,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant by its name in `CONTESTANTS`, its interpreter, and how it is set up."""

    name: str
    python: str
    setup: Setup

    def play(self, server: ChaosServer) -> dict[str, str]:
        """Return what it costs, by scenario."""
        with closing(Worker(self.python, self.name)) as worker:
            Match(server, worker, self.setup).ask(STARTING)  # warm
            return {told: play(Match(server, worker, self.setup)) for told, play in WAITS.items()}


def waits(server: ChaosServer, entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return what it costs each of them, by scenario; they play at the same time."""
    with ThreadPoolExecutor(len(entries)) as pool:
        return list(pool.map(lambda entry: entry.play(server), entries))
