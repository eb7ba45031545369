"""Four real processes, one dead provider, and a store that dies as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pilotlight.core.drills.schedule import GameDay
from pilotlight.state.drill_board import DrillBoard
from pilotlight.state.url import parse_state
from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
WORKERS = 4
MINIMUM_CALLS, BREAK = 5, 0.5  # as the worker configures them
PATIENCE = 60.0


class Workers:
    """Processes whose words are heard as they come."""

    def __init__(self, number: int, *arguments: str) -> None:
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "chaos" / "src"), *sys.path])
        self.heard: list[list[str]] = [[] for _ in range(number)]
        self.changed = threading.Condition()
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker.py")), *arguments],
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


@pytest.fixture
def servers():
    with ChaosServer(models=["llama3.2"]) as primary, ChaosServer(models=["llama3.2"]) as backup:
        yield primary, backup


def before_the_first_break(server: ChaosServer) -> int:
    """The requests that found the outage out: what comes after a break's silence is a trial."""
    times = [record.time for record in server.requests("primary")]
    breaks = (at for at, pair in enumerate(pairwise(times), 1) if pair[1] - pair[0] > BREAK - 0.05)
    return next(breaks, len(times))


def assert_one_trial_a_break(server: ChaosServer, since: int, until: int) -> None:
    """Trials of the whole fleet come one by one: after each, a whole break."""
    times = [record.time for record in server.requests("primary")][since:until]
    assert all(later - earlier > BREAK - 0.05 for earlier, later in pairwise(times)), times


def outage(servers, state: str, lose, regain) -> None:
    """Play it: dead, the store lost, the store back, healed."""
    primary, backup = servers
    primary.fault("primary", "server_error")
    workers = Workers(WORKERS, primary.base("primary"), backup.base("backup"), state)
    try:
        workers.wait("open")
        assert before_the_first_break(primary) <= MINIMUM_CALLS * WORKERS
        known = primary.hits("primary") + WORKERS  # trials may have begun before the last was told
        assert primary.wait_hits("primary", known + 3, PATIENCE)
        assert_one_trial_a_break(primary, known, known + 3)
        lose(workers)
        regain(workers)
        back = primary.hits("primary") + WORKERS  # a trial may be on its way
        assert primary.wait_hits("primary", back + 3, PATIENCE)
        assert_one_trial_a_break(primary, back, back + 3)
        workers.forget()
        primary.heal("primary")
        workers.wait_last("closed", ("open", "half-open", "closed"))
        told = workers.end()
    except BaseException:
        workers.kill()
        raise
    assert sum(each["failed"] for each in told) == 0
    assert min(each["calls"] for each in told) > 20


def test_a_sqlite_file_is_deleted_in_the_outage(servers, tmp_path):
    path = tmp_path / "board.db"

    def lose(workers) -> None:
        assert path.exists()
        path.unlink()

    def regain(workers) -> None:
        until_there = threading.Event()
        for _ in range(int(PATIENCE * 20)):
            if path.exists():
                break
            until_there.wait(0.05)
        assert path.exists()

    outage(servers, f"sqlite:///{path}", lose, regain)


def test_redis_is_killed_in_the_outage_and_comes_back(servers, redis_server):
    def lose(workers) -> None:
        redis_server.kill()
        workers.wait("gone")

    def regain(workers) -> None:
        redis_server.start()
        workers.wait("back")

    outage(servers, redis_server.url, lose, regain)


def test_a_game_day_reaches_all_processes_and_ends_in_all(servers, tmp_path):
    primary, backup = servers
    state = f"sqlite:///{tmp_path}/board.db"
    board = DrillBoard(parse_state(state))
    workers = Workers(2, primary.base("primary"), backup.base("backup"), state)
    try:
        assert primary.wait_hits("primary", 4, PATIENCE)
        board.post(GameDay("ab12", "primary", 1.0, time.time() + 300, "chat"))
        workers.wait("drill")
        known = primary.hits("primary") + 2  # calls that were admitted before
        assert backup.wait_hits("backup", backup.hits("backup") + 10, PATIENCE)
        assert primary.hits("primary") <= known, "nothing is sent to it"
        board.clear()
        workers.wait("DrillEnded")
        assert primary.wait_hits("primary", known + 4, PATIENCE)
        told = workers.end()
    except BaseException:
        workers.kill()
        raise
    assert sum(each["failed"] for each in told) == 0
    assert not any("open" in heard for heard in workers.heard), "no breaker has seen it"
