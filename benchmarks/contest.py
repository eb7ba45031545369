"""Runs one contestant through the faults, and tells what its caller got."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.house import BACKUP, PRIMARY, fresh
from pilotlight_chaos import ChaosServer

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 8.0  # seconds for a call whose attempts may each take one
STARTING = 120.0
WHOLE = 10  # tokens


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault of the primary, and how it is met; the backup is always well."""

    told: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What the caller got in the last call, and how often each side was asked."""

    got: str
    primary: int
    backup: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.got} · P{self.primary} F{self.backup}"


SCENARIOS = (
    Scenario("500", "server_error"),
    Scenario("503", "overloaded"),
    Scenario("429, Retry-After 30", "rate_limit", {"retry_after": 30}),
    Scenario("401", "auth"),
    Scenario("404, no such model", "not_found"),
    Scenario("400, the caller's own mistake", "bad_request"),
    Scenario("hang", "hang"),
    Scenario("200 with an HTML page", "garbage"),
    Scenario("200 with half a JSON document", "truncated_json"),
    Scenario("200 with an error object", "error_body"),
    Scenario("200 with `choices: []`", "empty", {"what": "choices"}),
    Scenario("200 with empty content", "empty", {"what": "content"}),
    Scenario("20 calls in a row, all 500", "server_error", calls=20),
    Scenario("stream: 500", "server_error", stream=True),
    Scenario("stream: error event before content", "error_event", {"after": 0}, stream=True),
    Scenario("stream: cut before content", "cut", {"after": 0}, stream=True),
    Scenario("stream: stall before content", "stall", {"after": 0}, stream=True),
    Scenario("stream: cut after 3 tokens", "cut", {"after": 3}, stream=True),
    Scenario("stream: clean end after 3, not finished", "eof", {"after": 3}, stream=True),
    Scenario("stream: error event after 3", "error_event", {"after": 3}, stream=True),
    Scenario(
        "stream: broken event beside the end, after 3", "broken_event", {"after": 3}, stream=True
    ),
    Scenario("stream: stall after 3", "stall", {"after": 3}, stream=True),
    Scenario(
        "stream: only keep-alives after 3",
        "keepalive_stall",
        {"after": 3, "every": 0.2},
        stream=True,
    ),
)


class Worker:
    """A contestant's process; started anew when a call never ends."""

    def __init__(self, python: str, name: str, module: str = "peer_worker") -> None:
        self._command = [python, "-m", f"benchmarks.{module}", name]
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self.versions: dict[str, str] = {}

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a job, or None if none came in time."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        try:
            answer: dict[str, Any] = json.loads(self._lines.get(timeout=job["patience"]))
        except queue.Empty:
            self.close()
            return None
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._lines = queue.Queue()
            reading = (self._process, self._lines)
            threading.Thread(target=_read, args=reading, daemon=True).start()
            self.versions = json.loads(self._lines.get(timeout=STARTING))
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)


def contest(server: ChaosServer, worker: Worker) -> dict[str, Finding]:
    """Return what a contestant's caller gets in each scenario."""
    _run(server, worker, Scenario("warm", ""), patience=STARTING)
    streamed = Scenario("warm", "", stream=True)
    _run(server, worker, streamed, patience=STARTING)
    return {scenario.told: _run(server, worker, scenario) for scenario in SCENARIOS}


def outage(server: ChaosServer, worker: Worker) -> Finding:
    """Return the finding of the calls in a row alone."""
    _run(server, worker, Scenario("warm", ""), patience=STARTING)
    return _run(server, worker, next(each for each in SCENARIOS if each.calls > 1))


def _run(
    server: ChaosServer, worker: Worker, scenario: Scenario, patience: float = PATIENCE
) -> Finding:
    primary, backup = fresh(PRIMARY), fresh(BACKUP)
    if scenario.kind:
        server.fault(primary, scenario.kind, **scenario.params)
    job = {
        "primary": f"{server.base(primary)}/v1",
        "backup": f"{server.base(backup)}/v1",
        "stream": scenario.stream,
        "patience": patience,
    }
    answer: dict[str, Any] | None = None
    for _ in range(scenario.calls):
        answer = worker.ask(job)
    return Finding(_told(answer), server.hits(primary), server.hits(backup))


def _told(answer: Mapping[str, Any] | None) -> str:
    """Say in a few words what the caller got."""
    if answer is None:
        return f"STILL WAITING after {PATIENCE:.0f} s"
    tokens = answer["text"].split()
    who = {token[0] for token in tokens if token[0] in "PF"}
    if answer["error"]:
        return f"raises {answer['error']}" + (f" after {len(tokens)} tokens" if tokens else "")
    if not tokens:
        return "EMPTY accepted"
    if len(who) > 1:
        return "SPLICED"
    if len(tokens) < WHOLE:
        return "HALF accepted"
    return "fallback answers" if who == {"F"} else "primary answers"
