"""Four real processes, one dead provider, and a store that dies as well."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from workers import PATIENCE, Workers

from pilotlight.core.drills.schedule import GameDay
from pilotlight.state.drill_board import DrillBoard
from pilotlight.state.url import parse_state
from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes

WORKERS = 4
MINIMUM_CALLS, BREAK = 5, 0.5  # as the worker configures them


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
    workers = Workers(WORKERS, "worker.py", primary.base("primary"), backup.base("backup"), state)
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
    workers = Workers(2, "worker.py", primary.base("primary"), backup.base("backup"), state)
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
