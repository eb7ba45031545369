"""Reading a log: whatever is in it, what can be read is read and the rest is counted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight import ConfigError, Fault
from pilotlight.records.files import numbered
from pilotlight.records.lines import Kept, decode, encode
from pilotlight.records.store import LONGEST, Query, Store
from pilotlight.vocabulary.receipt import AttemptRecord, SkipRecord
from tests.receipts.kit import call, kept, skip, tried, write

names = st.text(min_size=1, max_size=12)
times = st.floats(0, 1e9)
maybe = st.none() | names
attempts = st.builds(
    AttemptRecord,
    *(names, names, st.integers(0, 3), st.none() | st.sampled_from(Fault)),
    *(st.none() | st.integers(100, 599), times, st.sampled_from(["closed", "half-open"])),
    *(st.none() | times, maybe, maybe, st.just(""), maybe),
    *(st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6), maybe),
    *(st.lists(names, max_size=2).map(tuple), times),
)
skips = st.builds(SkipRecord, names, names, st.none() | times, names)
receipts = st.builds(
    Kept,
    *(names, names, st.booleans(), st.sampled_from(["primary", "failover", "exhausted"])),
    *(times, times, maybe, maybe),
    *(st.lists(attempts, max_size=3).map(tuple), st.lists(skips, max_size=3).map(tuple)),
    process=names,
)
GOOD = encode(call(1.0, tried("gpt")), "p")


@settings(max_examples=50)
@given(receipts)
def test_what_is_written_is_read(receipt):
    assert decode(encode(receipt, receipt.process)) == receipt


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_junk_is_passed_over_and_counted(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("log") / "receipts.jsonl"
    junk = [each.replace(b"\n", b"") for each in junk]
    path.write_bytes(GOOD + b"".join(each + b"\n" + GOOD for each in junk) + GOOD[:-40])
    store = Store(path)
    assert len(list(store.read())) == len(junk) + 1
    assert store.junk == 1 + sum(1 for each in junk if each and not each.isspace())
    assert "no receipts" in store.remarks[0]


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": "yesterday"},
        {"started_at": None},
        {"started_at": float("nan")},
        {"duration": float("inf")},
        {"duration": -1},
        {"outcome": "splendid"},
        {"attempts": None},
        {"attempts": [{}]},
        {"attempts": ["gpt"]},
        {"v": "one"},
    ],
)
def test_a_line_with_a_wrong_value_is_junk(change):
    assert decode(json.dumps(json.loads(GOOD) | change)) == "junk"


@pytest.mark.parametrize("line", ["", "[]", "null", "7", "[" * 100_000, b"\xff\xfe"])
def test_a_line_of_something_else_is_junk(line):
    assert decode(line) == "junk"


def test_a_line_of_a_newer_version_is_said_to_be_so(tmp_path):
    newer = [{"v": 2, "what": "ever"}, json.loads(GOOD) | {"v": 2}]
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(GOOD + "".join(json.dumps(each) + "\n" for each in newer).encode())
    store = Store(path)
    assert len(list(store.read())) == 1
    assert (store.junk, store.newer) == (0, 2)
    assert store.remarks == ["2 receipts are of a newer pilotlight; upgrade to read them"]


def test_keys_that_are_not_known_do_no_harm():
    assert decode(json.dumps(json.loads(GOOD) | {"more": 1})) == decode(GOOD)


def test_a_receipt_that_somebody_stored_by_himself_is_read():
    data = call(1.0, tried("gpt")).to_dict()
    del data["v"], data["process"]
    assert decode(json.dumps(data)) == replace(call(1.0, tried("gpt")), process="")


def test_a_line_without_end_is_junk_and_costs_little_memory(tmp_path):
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(GOOD + b"x" * (3 * LONGEST) + b"\n" + GOOD)
    store = Store(path)
    assert len(list(store.read())) == 2
    assert (store.junk, store.done) == (1, path.stat().st_size)


def test_rotated_files_are_read_first_the_oldest_before_them(tmp_path):
    path = tmp_path / "receipts.jsonl"
    for place, at in ((path, 3.0), (numbered(path, 1), 2.0), (numbered(path, 2), 1.0)):
        write(place, call(at, tried("gpt")))
    write(numbered(path, 4), call(0.0, tried("gpt")))  # there is no .3: not of this log
    assert [each.started_at for each in kept(path)] == [1.0, 2.0, 3.0]
    assert [each.started_at for each in kept(numbered(path, 2))] == [1.0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [1, 2, 3]),
        (Query(since=3.5), [3]),
        (Query(since=3.0), [2, 3]),
        (Query(route="sums"), [3]),
        (Query(outcome="failover"), [2]),
        (Query(target="local"), [2]),
        (Query(target="gpt"), [1, 2]),
        (Query(outcome="primary", route="chat"), [1]),
    ],
)
@pytest.mark.parametrize("name", ["receipts.jsonl", "receipts.db"])
def test_a_query_chooses(tmp_path, name, query, found):
    calls = (
        call(1.0, tried("gpt")),
        call(2.0, skip("gpt"), tried("local")),
        call(3.0, tried("claude"), route="sums"),
    )
    path = write(tmp_path / name, *calls)
    assert [each.started_at for each in Store(path).read(query)] == found


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such file"), (b"SQLite format 3\0" + b"x" * 5000, "no log of receipts")],
)
def test_what_can_not_be_read_is_said_in_one_line(tmp_path, content, said):
    path = tmp_path / "receipts.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        list(Store(path).read())


def test_a_database_of_something_else_is_said_to_be_none(tmp_path):
    import sqlite3

    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE users (name TEXT)")
    db.close()
    with pytest.raises(ConfigError, match="no log of receipts"):
        list(Store(path).read())


def test_a_folder_is_no_log(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        Store(tmp_path)
