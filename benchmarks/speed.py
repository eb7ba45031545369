"""Ours and the peers in one run, each in a process and an environment of its own: the figures."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from httpx import URL

from benchmarks.canned import canned
from benchmarks.clients import has_via
from benchmarks.contest import Worker
from benchmarks.house import BACKUP, PRIMARY, fresh, says
from benchmarks.imports import TIMED
from benchmarks.measure import fresh as fresh_process
from benchmarks.measure import interleaved
from benchmarks.rows import Row
from benchmarks.speed_rows import (
    OURS,
    Wait,
    cost_rows,
    crowd_row,
    herd_row,
    import_rows,
    outage_row,
    wait_row,
)
from pilotlight_chaos import ChaosServer

PATIENCE = 96.0  # seconds for a job
ROUNDS, CALLS, STREAMS = 8, 15, 5
CROWDS, THREADS = 4, 32
IMPORTED = 4
OUTAGE, CAP = 200, 20.0  # calls; seconds for all of them
HERD, PAUSE, SLOW = 50, 2.5, 2.0  # callers; seconds of the break, and of the timeout
WAITED, MET = 95.0, 7  # seconds after which nobody waits for a 429; times that we meet one
FAULTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "refused": ("", {}),
    "500": ("server_error", {}),
    "429, Retry-After 20": ("rate_limit", {"retry_after": 20}),
}
ENVIRONMENTS = {  # of each contestant; None is this one
    "pilotlight": None,
    "pilotlight-litellm": None,
    "httpx": None,
    "openai": "agents",
    "litellm": "litellm",
    "litellm-tuned": "litellm",
    "langchain": "agents",
    "pydantic-ai": "agents",
    "pybreaker": "agents",
    "purgatory": "agents",
}
ALONE = ("httpx", "openai")  # have no backup
WAITING = ("pilotlight", "litellm", "langchain", "pydantic-ai")  # at their defaults
IMPORTS = {
    "pilotlight": (None, "import pilotlight"),
    "httpx": (None, "import httpx"),
    "openai": ("agents", "import openai"),
    "litellm": ("litellm", "import litellm"),
    "langchain": ("agents", "import langchain_openai"),
    "pydantic-ai": ("agents", "import pydantic_ai"),
    "pybreaker": ("agents", "import pybreaker"),
    "purgatory": ("agents", "import purgatory"),
}


class Team:
    """The contestants' processes; they stay alive, so that rounds can be taken by turns."""

    def __init__(self, interpreters: Mapping[str, str], names: Sequence[str]) -> None:
        self._workers = {
            name: Worker(python(interpreters, ENVIRONMENTS[name]), name, "peer_speed")
            for name in names
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._workers)

    def make(self, name: str, primary: str, backup: str, **setup: Any) -> dict[str, Any]:
        """Let a contestant make its client."""
        job = {"job": "make", "primary": primary, "backup": backup, "setup": setup}
        return self._ask(name, job)

    def ask(self, name: str, job: str, **params: Any) -> dict[str, Any]:
        """Return what a contestant found."""
        return self._ask(name, {"job": job, "with": params})

    def _ask(self, name: str, job: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._workers[name].ask({**job, "patience": PATIENCE})
        if answer is None:
            raise RuntimeError(f"{name} gave no answer to {job['job']!r} in {PATIENCE:.0f} s")
        return answer

    def versions(self) -> dict[str, Mapping[str, str]]:
        return {name: worker.versions for name, worker in self._workers.items()}

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()


def python(interpreters: Mapping[str, str], environment: str | None) -> str:
    return interpreters[environment] if environment else sys.executable


def measured(interpreters: Mapping[str, str]) -> tuple[list[Row], dict[str, Mapping[str, str]]]:
    """Return the figures and the versions; those who sleep on a 429 do so meanwhile."""
    names = [name for name in ENVIRONMENTS if name != "pilotlight-litellm" or has_via()]
    with (
        ChaosServer(reply=says) as server,
        closing(Team(interpreters, names)) as team,
        closing(Team(interpreters, WAITING)) as sleepers,
    ):
        waits, threads = _asleep(server, sleepers)
        made = _happy(team)
        made += [_outage(server, team, told) for told in FAULTS]
        made += [_herd(server, team), *_imports(interpreters)]
        _say("waiting for those who sleep on a 429")
        for thread in threads:
            thread.join()
        return [*made, wait_row(waits, WAITED)], team.versions()


def _say(doing: str) -> None:
    print(doing, file=sys.stderr, flush=True)


def _asleep(server: ChaosServer, team: Team) -> tuple[dict[str, Wait], list[threading.Thread]]:
    """Start the calls that meet a 429 at the defaults; ours are over before anything else begins.

    It is the median of several for us, for milliseconds are at stake, and one for the others.
    """
    _say("429 + Retry-After 30")
    found = [_meets(server, team, OURS) for _ in range(MET)]
    ours = statistics.median(spent - alone for spent, alone in found if spent is not None)
    alone = statistics.median(alone for _, alone in found)
    waits: dict[str, Wait] = {OURS: (alone + ours, alone)}

    def meet(name: str) -> None:
        waits[name] = _meets(server, team, name)

    others = [name for name in team if name != OURS]
    threads = [threading.Thread(target=meet, args=(name,)) for name in others]
    for thread in threads:
        thread.start()
    return waits, threads


def _meets(server: ChaosServer, team: Team, name: str) -> Wait:
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    team.make(name, f"{server.base(primary)}/v1", f"{server.base(backup)}/v1", defaults=True)
    team.ask(name, "calls", times=3)
    alone = team.ask(name, "calls", times=10)["wall"]
    server.fault(primary, "rate_limit", retry_after=30)
    try:
        found = team.ask(name, "run", calls=1, cap=WAITED)
    except RuntimeError:  # no answer in PATIENCE
        return None, alone
    return found["spent"][0], alone


def _happy(team: Team) -> list[Row]:
    """Measure calls, streams and crowds when all is well."""
    with canned() as server:
        for name in team:
            _say(f"warming {name} up")
            team.make(name, f"{server}/0/0/v1", f"{server}/0/0/v1", timeout=60)
            team.ask(name, "calls", times=CALLS)
            team.ask(name, "streams", times=STREAMS)
        _say("calls and streams, by turns")
        calls = _turns(team, ROUNDS, "calls", times=CALLS)
        streams = _turns(team, ROUNDS, "streams", times=STREAMS)
        for name in team:
            team.make(name, f"{server}/50/0/v1", f"{server}/50/0/v1", timeout=60)
        _say(f"{THREADS} threads")
        crowds = _turns(team, CROWDS + 1, "crowd", count=THREADS)
    crowds = {name: rounds[1:] for name, rounds in crowds.items()}
    return [*cost_rows(calls, streams), crowd_row(crowds, THREADS)]


def _turns(team: Team, rounds: int, job: str, **params: Any) -> dict[str, list[dict[str, Any]]]:
    return interleaved({name: partial(team.ask, name, job, **params) for name in team}, rounds)


def _outage(server: ChaosServer, team: Team, told: str) -> Row:
    """Let each make calls with a primary that is dead from the start."""
    kind, params = FAULTS[told]
    found: dict[str, dict[str, Any]] = {}
    for name in team:
        if name in ALONE:
            continue
        _say(f"dead primary ({told}): {name}")
        primary, backup = fresh(PRIMARY), fresh(BACKUP)
        base = server.base(primary)
        if kind:
            server.fault(primary, kind, **params)
        else:
            with ChaosServer() as gone:
                base = gone.base(primary)
        before = _tried(team.make(name, f"{base}/v1", f"{server.base(backup)}/v1"), base)
        said = team.ask(name, "run", calls=OUTAGE, cap=CAP)
        hits = server.hits(primary) if kind else _tried(said, base) - before
        found[name] = {**said, "hits": hits}
    return outage_row(told, found, OUTAGE)


def _tried(said: Mapping[str, Any], base: str) -> int:
    """Return how often a contestant has tried to connect to this server."""
    return int(said["tried"].get(str(URL(base).port), 0))


def _herd(server: ChaosServer, team: Team) -> Row:
    """Open each one's breaker, wait for the end of its break, and let 50 callers ask at once."""
    found: dict[str, dict[str, Any]] = {}
    for name in team:
        if name in ALONE:
            continue
        _say(f"the end of a break: {name}")
        primary, backup = fresh(PRIMARY), fresh(BACKUP)
        server.fault(primary, "server_error")
        bases = f"{server.base(primary)}/v1", f"{server.base(backup)}/v1"
        team.make(name, *bases, timeout=SLOW, pause=PAUSE)
        team.ask(name, "run", calls=8, cap=CAP)
        opened = server.hits(primary) < 8
        server.fault(primary, "hang")  # still dead, and it takes the whole timeout to see it
        time.sleep(PAUSE * 1.4)
        before = server.hits(primary)
        said = team.ask(name, "crowd", count=HERD)
        found[name] = {**said, "hits": server.hits(primary) - before, "breaker": opened}
    return herd_row(found, HERD)


def _imports(interpreters: Mapping[str, str]) -> list[Row]:
    """Time imports in fresh interpreters, each in its own environment."""
    _say("imports")
    cases: dict[str, Callable[[], list[float]]] = {}
    for name, (environment, code) in {"nothing": (None, "pass"), **IMPORTS}.items():
        timed, python_ = TIMED.format(code=code), python(interpreters, environment)
        cases[name] = partial(_timed, timed, python_)
    found = {name: rounds[1:] for name, rounds in interleaved(cases, IMPORTED + 1).items()}
    return import_rows(found)


def _timed(code: str, python_: str) -> list[float]:
    said: list[float] = json.loads(fresh_process(code, python_).splitlines()[-1])
    return said
