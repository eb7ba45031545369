"""Keeping receipts: every call is written down, and no call ever waits or fails for it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pilotlight
from pilotlight import Fault, testing
from pilotlight.records import log as log_module
from pilotlight.records.files import JsonlFile, SqliteFile, numbered
from pilotlight.records.lines import encode
from pilotlight.records.log import Log, keep_receipts
from pilotlight.records.store import Store
from pilotlight.vocabulary.receipt import Receipt
from pilotlight_chaos import ChaosServer
from tests.receipts.kit import HELLO, PATIENCE, call, kept, route, tried

FILES = ("receipts.jsonl", "receipts.db")


@pytest.fixture(params=FILES)
def path(request, tmp_path) -> Path:
    return tmp_path / "log" / request.param


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "pilotlight.receipts")
    return lambda: [each.getMessage() for each in caplog.records if "receipts" in each.name]


def keeping(path: Path, max_mb: float = 10, keep: int = 5) -> Log:
    return keep_receipts(path, max_mb, keep)


def ask(*script, times: int = 1) -> list[str]:
    asked = route(*script)
    return [asked.complete(HELLO).served_by for _ in range(times)]


# What is written.


def test_nothing_is_kept_unless_it_is_configured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pilotlight.load({})
    assert pilotlight.listeners == []
    ask("ok")
    assert list(tmp_path.iterdir()) == []


def test_loading_and_routes_open_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = pilotlight.load(
        {
            "receipts": "receipts.jsonl",
            "targets": {"local": {"model": "ollama/llama3.2"}},
            "routes": {"chat": {"targets": ["local"]}},
        }
    )
    app.route("chat")
    app.close()
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_seen_from_the_configurations_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "pilotlight.toml").write_text('receipts = "log/receipts.jsonl"\n')
    monkeypatch.chdir(tmp_path / "here")
    with pilotlight.load():
        ask("ok")
    assert [each.served_by for each in kept(tmp_path / "log" / "receipts.jsonl")] == ["gpt"]


def test_two_configurations_with_one_file_keep_each_call_once(path):
    assert keeping(path) is keeping(path)
    ask("ok")
    assert keeping(path).flush(PATIENCE)
    assert len(kept(path)) == 1


def _complete(asked):
    return asked.complete(HELLO)


def _acomplete(asked):
    return asyncio.run(asked.acomplete(HELLO))


def _stream(asked):
    return list(asked.stream(HELLO))


def _astream(asked):
    async def read():
        return [chunk async for chunk in asked.astream(HELLO)]

    return asyncio.run(read())


@pytest.mark.parametrize("shape", [_complete, _acomplete, _stream, _astream])
def test_a_call_of_every_shape_is_kept_as_its_receipt_says(shape, path):
    log = keeping(path)
    with pilotlight.receipts() as collected:
        shape(route(Fault.SERVER_ERROR))
    assert log.flush(PATIENCE)
    (one,) = kept(path)
    (receipt,) = collected
    assert {key: one.to_dict()[key] for key in receipt.to_dict()} == _without_evidence(receipt)
    assert [(a.target, a.fault) for a in one.attempts] == [
        ("gpt", Fault.SERVER_ERROR),
        ("local", None),
    ]


def _without_evidence(receipt: Receipt):
    data = receipt.to_dict()
    for each in data["attempts"]:
        each["evidence"] = ""
    return data


def test_an_attempt_says_when_in_the_call_it_began(clock):
    first = testing.ScriptedTarget("gpt", testing.Fails(Fault.TIMEOUT, takes=4.0), clock=clock)
    second = testing.ScriptedTarget("local", "hi", clock=clock)
    asked = pilotlight.Route("chat", (first, second), clock=clock)
    assert [each.began for each in asked.complete(HELLO).receipt.attempts] == [0.0, 4.0]


def test_no_prompt_answer_or_key_is_in_it(tmp_path):
    key, secret = "sk-a-very-secret-key", "Wahrscheinlichkeitsrechnung"
    path = tmp_path / "receipts.jsonl"
    with ChaosServer(models=["llama3.2"]) as server:
        config = {
            "receipts": str(path),
            "targets": {
                "gpt": {
                    "model": "openai/gpt-4o",
                    "api_base": f"{server.base('cloud')}/v1",
                    "api_key": key,
                },
                "local": {"model": "ollama/llama3.2", "api_base": server.base("house")},
            },
            "routes": {"chat": {"targets": ["gpt", "local"]}},
        }
        messages = [{"role": "user", "content": f"Explain {secret}"}]
        with pilotlight.load(config) as app:
            first = app.route("chat").complete(messages)
            with testing.outage("gpt", Fault.AUTH_FAILED):
                second = app.route("chat").complete(messages)
    assert secret in first.text
    assert secret in second.text
    assert len(kept(path)) == 2
    text = path.read_text()
    assert secret not in text
    assert key not in text
    assert [a.prompt_tokens is not None for a in kept(path)[0].attempts] == [True]


def test_a_providers_words_are_not_kept():
    one = call(1.0, tried("gpt", Fault.UNKNOWN, evidence="you said: my diagnosis is ..."))
    assert b"diagnosis" not in encode(one, "p")


# What the disk may do.


def breaks_and_mends(path: Path, said, broken, mend) -> None:
    """Calls go on whatever the disk says; it is said once; the log goes on when it can."""
    log = keeping(path)
    broken()
    assert ask("ok", times=3) == ["gpt"] * 3
    assert log.flush(PATIENCE)
    assert ask("ok") == ["gpt"]
    assert log.flush(PATIENCE)
    assert log.lost == 4
    (complaint,) = said()
    assert str(path) in complaint
    assert "calls go on without" in complaint
    mend()
    assert ask("ok") == ["gpt"]
    assert log.flush(PATIENCE)
    assert len(kept(path)) == 1
    assert said()[1:] == [f"{path}: receipts are kept again; 4 lost"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux")
def test_a_full_disk(tmp_path, said):
    path = tmp_path / "receipts.jsonl"
    breaks_and_mends(path, said, lambda: path.symlink_to("/dev/full"), path.unlink)


def test_a_folder_that_is_a_file(path, said):
    folder = path.parent
    breaks_and_mends(path, said, lambda: folder.write_text("in the way"), folder.unlink)


def test_a_path_that_is_a_folder(path, said):
    breaks_and_mends(path, said, lambda: path.mkdir(parents=True), path.rmdir)


def test_a_corrupt_database(tmp_path, said):
    path = tmp_path / "receipts.db"
    breaks_and_mends(path, said, lambda: path.write_bytes(b"garbage" * 1000), path.unlink)


def test_a_locked_database(tmp_path, said, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, timeout=0, **more))
    path = tmp_path / "receipts.db"
    locker = connect(path, isolation_level=None)
    breaks_and_mends(path, said, lambda: locker.execute("BEGIN EXCLUSIVE"), locker.rollback)
    locker.close()


def test_a_folder_that_is_deleted_is_made_again(path):
    log = keeping(path)
    for _ in range(2):
        ask("ok")
        assert log.flush(PATIENCE)
        assert len(kept(path)) == 1
        path.unlink()
        path.parent.rmdir()


class StuckSink:
    """A disk that does not answer until it is let go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[Receipt] = []
        self.entered, self.free = threading.Event(), threading.Event()

    def write(self, receipts, process):
        self.entered.set()
        assert self.free.wait(PATIENCE)
        self.written += receipts


def test_a_disk_that_hangs_holds_nobody_up(tmp_path, said, monkeypatch):
    monkeypatch.setattr(log_module, "LIMIT", 5)
    stuck = StuckSink(tmp_path / "receipts.jsonl")
    log = Log(stuck)
    pilotlight.listeners.append(log)
    ask("ok")
    assert stuck.entered.wait(PATIENCE)
    assert ask("ok", times=9) == ["gpt"] * 9  # five wait, four are dropped
    assert (log.lost, len(said())) == (4, 1)
    assert not log.flush(0.0)
    stuck.free.set()
    assert log.flush(PATIENCE)
    assert len(stuck.written) == 6
    log.end()


def test_a_listener_that_raises_does_not_keep_the_receipt_from_being_kept(path):
    def broken(event):
        raise RuntimeError("a listener of somebody's")

    pilotlight.listeners.append(broken)
    log = keeping(path)
    assert ask("ok") == ["gpt"]
    assert log.flush(PATIENCE)
    assert len(kept(path)) == 1


def test_a_bug_in_the_writer_stays_there(tmp_path, said):
    class Buggy(StuckSink):
        def write(self, receipts, process):
            raise ZeroDivisionError

    log = Log(Buggy(tmp_path / "receipts.jsonl"))
    pilotlight.listeners.append(log)
    assert ask("ok", times=2) == ["gpt", "gpt"]
    assert log.flush(PATIENCE)
    assert len(said()) == 1
    log.end()


def test_a_torn_line_is_left_alone_and_the_next_one_is_whole(tmp_path):
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(encode(call(1.0, tried("gpt")), "p") + b'{"v":1,"call_id":"torn')
    JsonlFile(path, 10**6, 1).write([call(2.0, tried("gpt"))], "p")
    store = Store(path)
    assert [each.started_at for each in store.read()] == [1.0, 2.0]
    assert store.junk == 1


# Whose it is.


def test_it_is_its_owners_alone_and_so_are_older_ones_and_folders(path, monkeypatch):
    held = []
    connect = sqlite3.connect

    def looked_at(*args, **kwargs):  # the file must never be wider, not even for a moment
        held.append(path.stat().st_mode & 0o777)
        return connect(*args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", looked_at)
    before = os.umask(0)
    try:
        log = keeping(path, max_mb=0.0001)
        for _ in range(3):
            ask("answer")
            assert log.flush(PATIENCE)
    finally:
        os.umask(before)
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert set(held) <= {0o600}


@pytest.mark.parametrize("how", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("held", [b"precious\n", b""])
def test_nothing_is_written_through_a_link(path, said, how, held):
    path.parent.mkdir()
    other = path.parent / "other"
    other.write_bytes(held)
    how(path, other)
    log = keeping(path)
    assert ask("answer") == ["gpt"]
    assert log.flush(PATIENCE)
    assert other.read_bytes() == held
    assert log.lost == 1
    assert "link" in said()[0]


def test_nothing_is_made_at_the_end_of_a_link_that_leads_nowhere(path, said):
    path.parent.mkdir()
    path.symlink_to("nowhere")
    log = keeping(path)
    ask("answer")
    assert log.flush(PATIENCE)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert "link" in said()[0]


def test_a_link_in_the_place_of_an_older_file_is_replaced(tmp_path):
    path, other = tmp_path / "receipts.jsonl", tmp_path / "other"
    other.write_bytes(b"precious")
    numbered(path, 1).symlink_to(other)
    file = JsonlFile(path, max_bytes=10, keep=1)
    for number in range(2):
        file.write([call(float(number), tried("gpt"))], "p")
    assert other.read_bytes() == b"precious"
    assert not numbered(path, 1).is_symlink()


# Its size.


def test_jsonl_is_rotated_and_the_oldest_file_goes(tmp_path):
    path = tmp_path / "receipts.jsonl"
    line = len(encode(call(10.0, tried("gpt")), "p"))
    file = JsonlFile(path, max_bytes=3 * line + 2, keep=2)
    for number in range(10, 30):
        file.write([call(float(number), tried("gpt"))], "p")
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["receipts.jsonl", "receipts.jsonl.1", "receipts.jsonl.2"]
    assert all(each.stat().st_size <= 3 * line + 2 for each in tmp_path.iterdir())
    # 20 lines in files of 3: the last file has two, and two older ones are kept
    assert [each.started_at for each in kept(path)] == [float(n) for n in range(22, 30)]


def test_a_file_that_somebody_has_just_rotated_is_not_rotated_again(tmp_path):
    path = tmp_path / "receipts.jsonl"
    one, other = (JsonlFile(path, max_bytes=10, keep=2) for _ in range(2))
    one.write([call(1.0, tried("gpt"))], "p")
    late = one._open()
    other.write([call(2.0, tried("gpt"))], "q")  # finds it full
    assert one._rotate(late)
    os.close(late)
    assert path.exists()
    assert not numbered(path, 2).exists()
    assert [each.started_at for each in kept(path)] == [1.0, 2.0]


def test_without_older_files_the_file_begins_anew(tmp_path):
    path = tmp_path / "receipts.jsonl"
    file = JsonlFile(path, max_bytes=10, keep=0)
    for number in range(3):
        file.write([call(float(number), tried("gpt"))], "p")
    assert [each.started_at for each in kept(path)] == [2.0]
    assert not numbered(path, 1).exists()


def test_sqlite_lets_the_oldest_go(tmp_path):
    path = tmp_path / "receipts.db"
    file = SqliteFile(path, max_bytes=100_000)
    for number in range(0, 2000, 100):
        file.write([call(float(n), tried("gpt")) for n in range(number, number + 100)], "p")
    found = [each.started_at for each in kept(path)]
    assert found == [float(n) for n in range(2000 - len(found), 2000)]
    assert 100 < len(found) < 1000
    assert path.stat().st_size < 200_000


# Processes.

SCRIPT = """
import sys
from pathlib import Path
from pilotlight.records.log import keep_receipts
from tests.receipts.kit import HELLO, route
log = keep_receipts(Path(sys.argv[1]), float(sys.argv[2]), 1000)
"""
CALLS = "asked = route('ok')\nfor _ in range(200):\n    asked.complete(HELLO)\n"
FORK = """
import os
asked = route('ok')
asked.complete(HELLO)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        assert log._thread is None
        asked.complete(HELLO)
        assert log.flush(20)
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
asked.complete(HELLO)
"""
STUCK = """
import threading
from pilotlight.records import log as module
module.AT_EXIT = 0.1
log._sink.write = lambda receipts, process: threading.Event().wait()
route('ok').complete(HELLO)
print("answered", flush=True)
"""
TORN = """
import resource
asked = route('ok')
asked.complete(HELLO)
assert log.flush(20)
size = Path(sys.argv[1]).stat().st_size
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
print(asked.complete(HELLO).served_by)
assert log.flush(20) and log.lost == 1
assert Path(sys.argv[1]).stat().st_size == size + 100      # a part of it was written
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
asked.complete(HELLO)
"""


def start(script: str, path: Path, max_mb: float = 10.0) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    command = [sys.executable, "-c", SCRIPT + script, str(path), str(max_mb)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env, cwd=root)


def finish(process: subprocess.Popen[str]) -> str:
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    return said


def test_the_end_of_the_process_waits_for_the_last_receipt(path):
    finish(start(CALLS, path))
    assert len(kept(path)) == 200


def test_the_end_of_the_process_does_not_wait_for_a_disk_that_hangs(tmp_path):
    assert finish(start(STUCK, tmp_path / "receipts.jsonl")) == "answered\n"


def test_several_processes_share_a_file_and_rotate_it_together(path):
    # Small files: each of the four rotates them many times under the others' hands.
    for each in [start(CALLS, path, 0.01 if path.suffix == ".jsonl" else 10.0) for _ in range(4)]:
        finish(each)
    found = kept(path)
    assert len({each.call_id for each in found}) == len(found) == 800
    assert len({each.process for each in found}) == 4
    if path.suffix == ".jsonl":
        assert numbered(path, 2).exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_forked_child_keeps_its_own(path):
    finish(start(FORK, path))
    found = [each.process for each in kept(path)]
    assert sorted(found.count(each) for each in set(found)) == [1, 1, 1, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux")
def test_a_write_that_the_disk_breaks_off_is_one_torn_line(tmp_path):
    path = tmp_path / "receipts.jsonl"
    assert finish(start(TORN, path)) == "gpt\n"
    store = Store(path)
    assert len(list(store.read())) == 2
    assert store.junk == 1


def test_a_test_of_somebody_elses_can_reset_it(path):
    log = keeping(path)
    ask("ok")
    thread = log._thread
    testing.reset()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert pilotlight.listeners == []


def test_sqlite_rows_can_be_asked_by_sql(tmp_path):
    path = tmp_path / "receipts.db"
    SqliteFile(path, 10**6).write([call(5.0, tried("gpt"))], "p")
    db = sqlite3.connect(path)
    ((at, body),) = db.execute("SELECT at, body FROM receipts").fetchall()
    db.close()
    assert (at, json.loads(body)["route"]) == (5.0, "chat")
