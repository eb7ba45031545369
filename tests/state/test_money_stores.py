"""Each store of budgets against the plain one; and what files and servers suffer."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback_redis import SERVER, RedisServer

from pilotlight.core.spending.shared import Claim
from pilotlight.files import MODE
from pilotlight.state.accounts import KEPT, MemoryAccounts
from pilotlight.state.board import StoreError
from pilotlight.state.redis import BUDGET, RedisAccounts
from pilotlight.state.sqlite import SqliteAccounts

DAY = 86_400.0
NOON = 20_000 * DAY
DOLLARS = st.floats(0, 200, allow_nan=False) | st.sampled_from([0.0, 1e-9, 0.1, 1e9])
CLAIMS = st.builds(
    lambda budget, began, *amounts: Claim(budget, began, began + DAY, 100.0, *amounts),
    st.sampled_from(["team", "a budget: with {odd} signs", "ü"]),
    st.sampled_from([NOON, NOON + DAY]),
    DOLLARS, DOLLARS, DOLLARS, DOLLARS,
)  # fmt: skip
SAID = st.lists(
    st.tuples(
        st.sampled_from(["one", "two", "three"]),
        st.integers(1, 9),
        st.lists(CLAIMS, max_size=3, unique_by=lambda each: (each.budget, each.began)),
    ),
    max_size=12,
)


def same(said, store, model) -> None:
    for each in said:
        assert store.exchange(*each) == model.exchange(*each)


@given(SAID)
def test_sqlite_does_as_the_plain_one(said):
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteAccounts(Path(folder, "m.db"), lambda: NOON)
        same(said, store, MemoryAccounts(lambda: NOON))


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    if SERVER is None:
        pytest.skip("no redis-server on PATH")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url, server
    server.kill()


@settings(deadline=None)
@given(said=SAID)
def test_redis_does_as_the_plain_one(redis_url, said):
    url, server = redis_url
    server.client().flushall()
    store = RedisAccounts(url)
    model = MemoryAccounts()
    try:
        for each in said:
            told, meant = store.exchange(*each), model.exchange(*each)
            for ours, plain in zip(told, meant, strict=True):
                assert ours.sharers == plain.sharers
                assert (ours.slice, ours.spent, ours.lent) == pytest.approx(
                    (plain.slice, plain.spent, plain.lent), rel=1e-12
                )
    finally:
        store.close()


def claimed(**more) -> Claim:
    return Claim("team", NOON, NOON + DAY, 100.0, **{"spent": 0.0, **more})


@pytest.fixture(params=["sqlite", "redis"])
def opened(request, tmp_path):
    """Return what opens one store again and again."""
    if request.param == "sqlite":
        return lambda: SqliteAccounts(tmp_path / "m.db")
    url, server = request.getfixturevalue("redis_url")
    server.client().flushall()
    return lambda: RedisAccounts(url)


def test_what_was_spent_is_there_when_it_is_opened_anew(opened):
    opened().exchange("one", 1, [claimed(spent=60.0)])
    (grant,) = opened().exchange("two", 1, [claimed(needs=50.0, wants=50.0)])
    assert (grant.slice, grant.spent) == (40.0, 60.0)


def test_many_at_once_are_lent_no_more_than_there_is(opened):
    barrier = threading.Barrier(8)

    def take(number: int) -> float:
        store = opened()
        barrier.wait()
        lent = 0.0
        for turn in range(1, 11):
            try:
                (grant,) = store.exchange(
                    str(number), turn, [claimed(keeps=lent, needs=lent + 3, wants=lent + 3)]
                )
            except sqlite3.OperationalError:  # busy for longer than we wait
                continue
            lent = grant.slice
        store.close()
        return lent

    with ThreadPoolExecutor(8) as pool:
        lent = sum(pool.map(take, range(8)))
    assert lent == pytest.approx(100.0)


def test_a_period_that_is_long_over_is_forgotten(tmp_path):
    now = [NOON]
    store = SqliteAccounts(tmp_path / "m.db", lambda: now[0])
    store.exchange("one", 1, [claimed(spent=60.0)])
    now[0] = NOON + DAY + KEPT + 1
    store.exchange("one", 2, [Claim("other", NOON, now[0] + DAY, 1.0, 0.0)])
    with sqlite3.connect(tmp_path / "m.db") as link:
        assert link.execute("SELECT budget FROM accounts").fetchall() == [("other",)]


def test_redis_forgets_by_itself(redis_url):
    url, server = redis_url
    server.client().flushall()
    RedisAccounts(url, lambda: NOON).exchange("one", 1, [claimed(spent=1.0)])
    left = server.client().pttl(f"{BUDGET}team:{NOON:.0f}") / 1000
    assert left == pytest.approx(DAY + KEPT, abs=60)


@pytest.mark.parametrize("amount", ["'much'", "-5.0", "9e999", "NULL", "x'00'"])
def test_what_others_wrote_into_the_file_is_no_row(tmp_path, amount):
    store = SqliteAccounts(tmp_path / "m.db")
    store.exchange("one", 1, [claimed()])
    with sqlite3.connect(tmp_path / "m.db") as link:
        link.execute(
            f"INSERT INTO accounts VALUES ('team', {NOON}, 'two', 1, {amount}, 0.0, 0.0, 9e12)"
        )
    (grant,) = store.exchange("one", 2, [claimed(needs=9.0, wants=9.0)])
    assert grant.slice == 9.0


@pytest.mark.parametrize("row", ["", "1 2 3", "1 nan 0 0", "1 -4 0 0", "a b c d", "1 1e999 0 0"])
def test_what_others_wrote_into_redis_is_no_row(redis_url, row):
    url, server = redis_url
    server.client().flushall()
    server.client().hset(f"{BUDGET}team:{NOON:.0f}", "two", row)
    (grant,) = RedisAccounts(url).exchange("one", 1, [claimed(needs=9.0, wants=9.0)])
    assert (grant.slice, grant.spent, grant.lent) == (9.0, 0.0, 0.0)


def test_the_file_is_its_owners_alone(tmp_path):
    SqliteAccounts(tmp_path / "m.db").exchange("one", 1, [claimed()])
    assert (tmp_path / "m.db").stat().st_mode & 0o777 == MODE


def test_a_broken_file_is_put_aside_and_another_programs_is_left_alone(tmp_path):
    store = SqliteAccounts(tmp_path / "m.db")
    store.exchange("one", 1, [claimed()])
    whole = (tmp_path / "m.db").read_bytes()
    (tmp_path / "m.db").write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    for tail in ("-wal", "-shm"):
        (tmp_path / f"m.db{tail}").unlink(missing_ok=True)
    assert store.exchange("one", 2, [claimed(wants=2.0)])[0].slice == 2.0
    assert (tmp_path / "m.db.corrupt").exists()
    with sqlite3.connect(tmp_path / "theirs.db") as link:
        link.execute("CREATE TABLE things (name)")
    with pytest.raises(StoreError, match="another program"):
        SqliteAccounts(tmp_path / "theirs.db").exchange("one", 1, [claimed()])
