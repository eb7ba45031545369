"""Each store against a plain model; and what files and servers suffer."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from loopback_redis import PATIENCE, SERVER, RedisServer

from pilotlight.state.board import Errand, StoreError, claim, drop, put
from pilotlight.state.memory import MemoryBoard
from pilotlight.state.sqlite import OURS, SqliteBoard
from pilotlight.testing import FakeClock

FIELDS, VALUES = st.sampled_from("abc"), st.sampled_from(["one", "two", 'odd "\n ü %s\\', ""])
ERRANDS = st.builds(
    Errand,
    st.sampled_from(["put", "claim", "drop"]),
    FIELDS,
    VALUES,
    st.sampled_from([10.0, 20.0, 40.0]),
)


class BoardMachine(RuleBasedStateMachine):
    """The model is a dict of value and end, by a clock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model: dict[str, tuple[str, float]] = {}
        self.board = self.make()

    @rule(errands=st.lists(ERRANDS, max_size=5))
    def exchange(self, errands) -> None:
        now = self.clock()
        self.model = {name: slot for name, slot in self.model.items() if slot[1] > now}
        for each in errands:
            held = self.model.get(each.field, (None, 0.0))[0]
            if each.kind == "drop":
                if held == each.value:
                    del self.model[each.field]
            elif each.kind == "put" or held in (None, each.value):
                self.model[each.field] = (each.value, now + each.seconds)
        told = self.board.exchange(errands)
        assert {name: entry.value for name, entry in told.items()} == {
            name: value for name, (value, _) in self.model.items()
        }
        for name, entry in told.items():
            assert entry.left == pytest.approx(self.model[name][1] - now, abs=self.slack)
            assert 0 <= entry.age <= 60

    slack = 1e-6


class MemoryMachine(BoardMachine):
    def make(self):
        return MemoryBoard(self.clock)

    @rule(seconds=st.sampled_from([1.0, 10.0, 15.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)


class SqliteMachine(MemoryMachine):
    def make(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "board.db")
        return SqliteBoard(self.path, self.clock)

    @rule()
    def the_file_is_deleted(self) -> None:
        self.path.unlink(missing_ok=True)
        self.model.clear()

    def teardown(self) -> None:
        self.folder.cleanup()


TestMemoryMachine = MemoryMachine.TestCase
TestSqliteMachine = SqliteMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSqliteMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.fixture
def redis_board(redis_server):
    from pilotlight.state.redis import RedisBoard

    board = RedisBoard(redis_server.url)
    yield board
    board.close()


@pytest.mark.skipif(SERVER is None, reason="no redis-server on PATH")
def test_redis_is_as_the_model(tmp_path):
    from pilotlight.state.redis import KEY, RedisBoard

    server = RedisServer(tmp_path)
    server.start()
    client = server.client()

    class RedisMachine(BoardMachine):
        slack = 60.0  # its clock is the server's, and runs

        def make(self):
            client.delete(KEY)
            return RedisBoard(server.url)

        def teardown(self) -> None:
            self.board.close()

    try:
        case = RedisMachine.TestCase
        case.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
        case("runTest").runTest()
    finally:
        client.close()
        server.kill()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def board(request, tmp_path):
    if request.param == "redis":
        return request.getfixturevalue("redis_board")
    return SqliteBoard(tmp_path / "board.db") if request.param == "sqlite" else MemoryBoard()


def test_of_many_who_claim_at_once_one_has_it(board):
    start = threading.Barrier(8)

    def one(me: int) -> str:
        start.wait(PATIENCE)
        for _ in range(20):  # sqlite may say that it is busy: the fleet would come again
            try:
                return board.exchange([claim("trial", str(me), 60.0)])["trial"].value
            except sqlite3.OperationalError:
                continue
        raise AssertionError("never heard")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(8)))) == 1


def test_what_has_had_its_time_is_gone(board):
    board.exchange([put("a", "1", 0.01), put("b", "2", 60.0)])
    until = time.monotonic() + PATIENCE
    while "a" in (told := board.exchange()) and time.monotonic() < until:
        pass
    assert told.keys() == {"b"}
    assert board.exchange([claim("a", "mine", 60.0)])["a"].value == "mine"


# SQLite.


def test_a_file_that_another_is_just_making_is_no_link_of_a_strangers(tmp_path):
    """For a moment it has two names: the one it was made under, and its own."""
    path, made = tmp_path / "board.db", tmp_path / ".board.db-x1"
    made.touch(0o600)
    os.link(made, path)
    SqliteBoard(path).exchange([put("a", "1", 60.0)])
    made.unlink()
    os.link(path, tmp_path / "other.db")
    with pytest.raises(OSError, match="another name too"):
        SqliteBoard(path).exchange([put("a", "1", 60.0)])


def test_looking_makes_no_file(tmp_path):
    assert SqliteBoard(tmp_path / "board.db").exchange() == {}
    assert list(tmp_path.iterdir()) == []


def test_two_processes_see_one_file(tmp_path):
    path = tmp_path / "board.db"
    SqliteBoard(path).exchange([put("a", "1", 60)])
    assert SqliteBoard(path).exchange()["a"].value == "1"
    link = sqlite3.connect(path)
    assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    link.close()


@pytest.mark.parametrize("at", [100, 4096 + 5])
def test_a_broken_file_of_ours_is_set_aside(tmp_path, at):
    path = tmp_path / "board.db"
    board = SqliteBoard(path)
    board.exchange([put(f"a{number}", "1" * 100, 60) for number in range(100)])
    data = bytearray(path.read_bytes())
    data[at:] = b"\xff" * (len(data) - at)
    path.write_bytes(data)
    assert board.exchange([put("b", "2", 60)])["b"].value == "2"
    assert board.exchange().keys() == {"b"}
    assert Path(f"{path}.corrupt").exists()


@pytest.mark.parametrize("made", ["another program's", "garbage"])
def test_a_file_that_is_not_ours_is_left_alone(tmp_path, made):
    path = tmp_path / "app.db"
    if made == "garbage":
        path.write_bytes(b"not a database" * 500)
    else:
        link = sqlite3.connect(path)
        link.execute("CREATE TABLE users (name)")
        link.commit()
        link.close()
    before = path.read_bytes()
    with pytest.raises((StoreError, sqlite3.DatabaseError)):
        SqliteBoard(path).exchange([put("a", "1", 60)])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["app.db"]


def test_a_clock_that_was_set_back_keeps_nothing_for_longer(tmp_path):
    clock = FakeClock(1e9)
    board = SqliteBoard(tmp_path / "board.db", clock)
    board.exchange([put("a", "1", 60)])
    clock.advance(-1e6)
    assert board.exchange([put("b", "2", 60)]).keys() == {"b"}


def test_the_header_says_whose_it_is(tmp_path):
    path = tmp_path / "board.db"
    SqliteBoard(path).exchange([put("a", "1", 60)])
    assert int.from_bytes(path.read_bytes()[68:72], "big") == OURS


# Redis.


def test_all_is_under_one_key_that_has_an_end(redis_server, redis_board):
    redis_board.exchange([put("a", "1", 60), claim("b", "2", 60)])
    with redis_server.client() as client:
        (key,) = client.keys()
        assert "{" in key  # one slot of a cluster
        assert 0 < client.pttl(key) <= 24 * 3600 * 1000


def test_an_exchange_is_one_command(redis_server, redis_board):
    redis_board.exchange([put("a", "1", 60)])  # connects, and loads the script
    with redis_server.client() as client:
        client.config_resetstat()
        for number in range(10):
            redis_board.exchange([put("a", str(number), 60), drop("b", "x")])
        calls = {
            name: each["calls"]
            for name, each in client.info("commandstats").items()
            if name.startswith("cmdstat_eval") or "script" in name
        }
    assert calls == {"cmdstat_evalsha": 10}


def test_a_server_that_forgot_the_script_is_told_again(redis_server, redis_board):
    redis_board.exchange()
    with redis_server.client() as client:
        client.script_flush()
    assert redis_board.exchange([put("a", "1", 60)])["a"].value == "1"


def test_nonsense_in_redis_is_swept_out(redis_server, redis_board):
    from pilotlight.state.redis import KEY

    with redis_server.client() as client:
        client.hset(KEY, mapping={"a": "x", "b": "1 2", "c": "9e99 9 z", "d": b"\xff\xfe"})
        assert redis_board.exchange() == {}
        assert client.hgetall(KEY) == {}


def test_somebody_elses_key_is_left_alone(redis_server, redis_board):
    from redis import ResponseError

    from pilotlight.state.redis import KEY

    with redis_server.client() as client:
        client.set(KEY, "a string")
        with pytest.raises(ResponseError):
            redis_board.exchange([put("a", "1", 60)])
        assert client.get(KEY) == "a string"


def test_after_a_crash_the_same_board_goes_on(redis_server, redis_board):
    import redis

    redis_board.exchange([put("a", "1", 60)])
    redis_server.kill()
    with pytest.raises(redis.RedisError):
        redis_board.exchange()
    redis_server.start()
    assert redis_board.exchange() == {}
