"""Whoever may write the board may write anything: nothing raises, and no harm lasts for long."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loopback_redis import SERVER
from sim import CALM, KEY, Process, fleet

from pilotlight.core.health.lifecycle import Notice as EndNotice
from pilotlight.state.board import LONGEST, entries, put
from pilotlight.state.facts import read_fleet
from pilotlight.state.member import END_STANDS, LEASE
from pilotlight.state.memory import MemoryBoard
from pilotlight.state.notice import KEEP, DayNotice, Notice, Retirement, dump
from pilotlight.state.sqlite import SqliteBoard
from pilotlight.state.url import parse_state
from pilotlight.testing import FakeClock
from pilotlight.vocabulary.faults import RULES, Fault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
REASONS = st.sampled_from(
    [*map(str, Fault), "health_check", "forced", "\x1b[2J", "\u202e", "\ud800"]
)
KEYS = {
    "state": st.sampled_from(["open", "closed"]),
    "reason": REASONS | st.text(),
    "failed_trials": st.integers(-1, 40),
    "by": st.text(max_size=70),
    "number": st.integers(),
    "day": st.dates().map(str) | st.sampled_from(["9999-12-31", "0001-01-01", "2026-02-30"]),
    "source": st.sampled_from(["provider", "header", "configuration"]),
    "replacement": st.none() | st.text(max_size=300),
    "target": st.text(max_size=300),
    "rate": st.floats() | st.booleans(),
    "route": st.none() | st.text(max_size=300),
}
NOTICE, END, DAY = (
    ("state", "reason", "failed_trials", "by", "number"),
    ("day", "source", "replacement"),
    ("target", "rate", "route"),
)


def records(names):
    """Records of ours, of which any field may be anything or missing."""
    right = st.fixed_dictionaries({name: KEYS[name] for name in names})
    wrong = st.fixed_dictionaries({}, optional={name: KEYS[name] | JSON for name in names})
    return (right | wrong | JSON).map(json.dumps)


VALUES = st.text() | st.binary() | st.just("[" * 50_000) | st.just("9" * 5_000)
VALUES = VALUES | st.one_of(map(records, (NOTICE, END, DAY)))
FIELDS = st.sampled_from([f"{kind}:{KEY}" for kind in ("break", "trial", "want", "end")])
FIELDS = FIELDS | st.sampled_from(["drill:ab12", "drill:xyz", "drill:"]) | st.text() | st.binary()
TIMES = st.floats() | st.integers() | st.text(max_size=3) | st.none()
ROWS = st.lists(st.tuples(FIELDS, VALUES, TIMES, TIMES), max_size=6)


class Hostile:
    """A store that says what it likes."""

    def __init__(self, rows) -> None:
        self.rows = rows

    def exchange(self, errands=()):
        return entries(self.rows)

    def close(self) -> None: ...


@given(ROWS, st.booleans())
@example([(f"break:{KEY}", dump(Notice("open", "x", 0, "evil", 1)), 0.0, 1e308)], False)
@example([(f"break:{KEY}", dump(Notice("open", "model_retired", 32, "evil", 1)), 0, LONGEST)], True)
@example([(f"trial:{KEY}", "evil", 0.0, LONGEST)], True)
@settings(max_examples=settings().max_examples * 3)
def test_nothing_that_stands_there_raises_or_lasts_beyond_its_bounds(rows, tripped):
    clock = FakeClock()
    process = Process(clock, Hostile(rows))
    if tripped:
        process.breaker.trip("server_error", 1.0)
    for _ in range(3):
        process.step()
        clock.advance(1.0)
    assert not process.fleet._gone, "no trouble of the store's"
    state = process.breaker.state
    if state.name == "open":
        rule = RULES.get(state.reason)
        longest = max(CALM.max_reset_timeout, (rule and rule.break_for) or 0.0)
        assert state.until - clock() <= min(longest, 3600.0)
    for day in process.fleet.days.under_way:
        assert 0 < day.rate <= 1
        assert day.target.isprintable() or not any(map(str.isspace, day.target.strip()))
    end = process.health.lifecycle.notice
    assert end is None or 2020 <= end.day.year <= 2099
    assert process.breaker.failed_trials <= 32


@given(rows=ROWS)
@settings(
    max_examples=settings().max_examples * 3 // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_rows_of_any_type_in_the_file(tmp_path, rows):
    path = tmp_path / "board.db"
    path.unlink(missing_ok=True)
    board = SqliteBoard(path)
    board.exchange([put("want:ours", "me", 60.0)])
    with sqlite3.connect(path) as link:
        for field, value, age, left in rows:
            times = [
                time.time() + each if isinstance(each, float) else each for each in (age, left)
            ]
            try:
                link.execute(
                    "INSERT OR REPLACE INTO board VALUES (?,?,?,?)", (field, value, *times)
                )
            except (sqlite3.Error, UnicodeError, OverflowError):
                continue
    link.close()
    process = Process(FakeClock(), board)
    process.breaker.trip("server_error", 20.0)
    process.step()
    process.step()
    assert not process.fleet._gone
    assert board.exchange()["want:ours"].value == "me"
    facts = read_fleet(parse_state(f"sqlite:///{path}"), {})
    assert facts.problem is None


@pytest.mark.parametrize("expires", ["'never'", "x'00ff'", "1e308"])
def test_a_row_that_never_ends_does_not_keep_the_lease_for_good(tmp_path, clock, expires):
    path = tmp_path / "board.db"
    board = SqliteBoard(path, clock)
    process = Process(clock, board)
    process.breaker.trip("server_error", 5.0)
    process.step()
    with sqlite3.connect(path) as link:
        link.execute(f"INSERT INTO board VALUES ('trial:{KEY}', 'evil', {clock()}, {expires})")
    link.close()
    assert_tried_soon(clock, process)


def test_a_lease_for_longer_than_any_of_ours_is_taken_away(clock):
    board = MemoryBoard(clock)
    process = Process(clock, board)
    process.breaker.trip("server_error", 5.0)
    process.step()
    board.exchange([put(f"trial:{KEY}", "evil", LONGEST)])
    assert_tried_soon(clock, process)


def assert_tried_soon(clock, process) -> None:
    for _ in range(40):
        clock.advance(0.5)
        process.step()
        if (permit := process.permit()) is not None:
            permit.success()
            break
    assert process.state == "closed"


def test_a_lease_of_ours_is_left_to_its_holder(clock):
    board = MemoryBoard(clock)
    a, b = fleet(2, clock, board)
    a.breaker.trip("server_error", 5.0)
    for each in (a, b):
        each.step()
    clock.advance(4.5)
    board.exchange([put(f"trial:{KEY}", a.fleet.worker, LEASE)])
    b.permit()
    b.step()
    b.step()
    assert board.exchange()[f"trial:{KEY}"].value == a.fleet.worker


# The end of a model.


def test_an_end_lapses_with_its_notice(clock):
    board = MemoryBoard(clock)
    a, b = fleet(2, clock, board)
    said = dump(Retirement("2024-01-01", "provider", None))
    board.exchange([put(f"end:{KEY}", said, 60.0)])
    for each in (a, b):
        each.step()
        assert each.health.lifecycle.retired(time.time()) is not None
    clock.advance(60.0)
    for each in (a, b):
        each.step()
        assert each.health.lifecycle.notice is None
    assert f"end:{KEY}" not in board.exchange(), "who was told of it does not tell it"


def test_what_a_process_was_told_itself_stands_over_the_board_and_stays(clock):
    board = MemoryBoard(clock)
    a, b = fleet(2, clock, board)
    own = EndNotice(date(2026, 12, 1), "provider")
    a.health.lifecycle.note(own)
    a.step()
    board.exchange([put(f"end:{KEY}", dump(Retirement("2024-01-01", "provider", None)), 600.0)])
    for each in (a, b):
        each.step()
    assert a.health.lifecycle.notice == own
    clock.advance(601.0)
    for each in (a, b, a, b):
        each.step()
    assert a.health.lifecycle.notice == b.health.lifecycle.notice == own


def test_two_that_were_told_different_days_do_not_write_against_each_other(clock):
    board = MemoryBoard(clock)
    a, b = fleet(2, clock, board)
    a.health.lifecycle.note(EndNotice(date(2026, 12, 1), "provider"))
    b.health.lifecycle.note(EndNotice(date(2027, 1, 1), "provider"))
    for _ in range(5):
        a.step()
        b.step()
        clock.advance(1.0)
    assert board.exchange()[f"end:{KEY}"].age == pytest.approx(5.0)


def test_an_end_lapses_by_its_time_where_the_store_is_gone(clock):
    board = MemoryBoard(clock)
    process = Process(clock, board)
    board.exchange([put(f"end:{KEY}", dump(Retirement("2024-01-01", "header", None)), LONGEST)])
    process.step()

    class Gone:
        def exchange(self, errands=()):
            raise OSError("gone")

        def close(self) -> None: ...

    process.board = Gone()
    process.fleet._board = None
    process.step()
    assert process.health.lifecycle.notice is not None
    clock.advance(END_STANDS)
    process.step()
    assert process.health.lifecycle.notice is None


@pytest.mark.parametrize("day", [date.max, date.min])
def test_a_day_that_nobody_would_believe_is_not_shared_and_stops_nothing(clock, day):
    board = MemoryBoard(clock)
    process = Process(clock, board)
    process.health.lifecycle.note(EndNotice(day, "provider", "\x1b[31m"))
    process.breaker.trip("\x1b[2J quota\n", 60.0)
    process.step()
    assert not process.fleet._gone
    assert set(board.exchange()) == {f"break:{KEY}"}


def test_what_can_not_be_read_is_said_once_a_field(clock, caplog):
    board = MemoryBoard(clock)
    board.exchange([put("break:once", "{}", 60.0), put("drill:abcd", "\x1b", 60.0)])
    process = Process(clock, board, key="once")
    for _ in range(3):
        process.step()
    said = [each.getMessage().split()[2] for each in caplog.records]
    assert sorted(said) == ["break:once", "drill:abcd"]


@pytest.mark.skipif(SERVER is None, reason="no redis-server on PATH")
@pytest.mark.parametrize(
    "value", [b"0 " + b"9" * 400 + b" evil", b"0 99999999999999 " + b"x" * 5000]
)
def test_redis_values_beyond_all_bounds(redis_server, value):
    from pilotlight.state.redis import KEY as HASH
    from pilotlight.state.redis import RedisBoard

    client = redis_server.client()
    client.hset(HASH, "trial:endpoint", value)
    board = RedisBoard(redis_server.url)
    for entry in board.exchange([put("want:ours", "me", 60.0)]).values():
        assert 0 < entry.left <= LONGEST
    board.close()
    client.close()


def test_the_bounds_are_wide_enough_for_what_we_write():
    longest = [
        Notice.opened("é" * 100, 32, "w" * 64, 2**63 - 1),
        Retirement("2099-12-31", "provider", "é" * 256),
        DayNotice("é" * 256, 0.5, "é" * 256),
    ]
    for record in longest:
        assert entries([("f" * 64, dump(record), 0.0, KEEP)])


def test_the_file_and_those_beside_it_are_its_owners_alone(tmp_path):
    path = tmp_path / "board.db"
    board = SqliteBoard(path)
    board.exchange([put("a", "b", 60.0)])
    held = sqlite3.connect(path)  # as long as it is open, the log beside it stays
    held.execute("SELECT * FROM board").fetchall()
    board.exchange([put("a", "c", 60.0)])
    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    held.close()
    assert modes == {"board.db": 0o600, "board.db-wal": 0o600, "board.db-shm": 0o600}


@pytest.mark.parametrize("how", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("held", [b"", None])
def test_a_board_that_is_a_link_is_not_written(tmp_path, how, held):
    other, path = tmp_path / "other", tmp_path / "board.db"
    if held is None:
        with sqlite3.connect(other) as link:
            link.execute("CREATE TABLE precious (x)")
        link.close()
    else:
        other.write_bytes(held)
    before = other.read_bytes()
    how(path, other)
    with pytest.raises(OSError, match="link"):
        SqliteBoard(path).exchange([put("a", "b", 60.0)])
    assert other.read_bytes() == before
