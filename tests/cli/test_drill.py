"""`pilotlight drill`, and the file by which it reaches running applications."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

import pilotlight
from pilotlight.core.drills.schedule import GameDay
from pilotlight.state.drill_file import WATCHER, DrillFile

START = ("drill", "--route", "chat", "--target", "gpt", "--minutes", "5", "--rate", "1")


@pytest.fixture
def app(write, primary):
    path = write(gpt=primary, local="ollama/llama3.2:3b") or "pilotlight.toml"
    with pilotlight.load(path) as made:
        yield made


def test_start_list_and_stop(run, app):
    assert "100% of the calls of route chat find gpt refused" in run(*START).stdout
    assert stat.S_IMODE(app.drills.path.stat().st_mode) == 0o600
    (told,) = json.loads(run("drill", "--json").stdout)["drills"]
    assert (told["target"], told["route"], told["rate"]) == ("gpt", "chat", 1.0)
    assert "no drill is under way" in run("drill", "--stop").stdout
    assert not app.drills.path.exists()


def test_a_running_application_finds_the_target_refused_until_it_is_stopped(run, server, app):
    route = app.route("chat")
    run(*START)
    app.drills.look()
    answer = route.complete([{"role": "user", "content": "hi"}])
    assert answer.receipt.served_by == "local"
    assert [(s.target, s.reason) for s in answer.receipt.skipped] == [("gpt", "drill")]
    run("drill", "--stop")
    app.drills.look()
    assert app.game_days.under_way == ()


def test_who_would_be_left_alone_is_said(run, app):
    result = run("drill", "--route", "chat", "--target", "local")
    assert result.exit_code == 2
    assert "private calls of route chat" in result.stderr
    assert run("drill", "--route", "chat", "--target", "local", "--yes").exit_code == 0


@pytest.mark.parametrize(
    "words", [("--target", "gtp"), ("--route", "chat"), ("--stop", "--target", "gpt")]
)
def test_what_makes_no_sense(run, app, words):
    assert run("drill", *words).exit_code == 2


def entry(**changed):
    day = {"id": "ab", "target": "gpt", "rate": 0.5, "until": time.time() + 60}
    return json.dumps({"version": 1, "drills": [day | changed]})


HOSTILE = (
    "{", "[]", "null", "x" * 70_000, entry(rate=2), entry(rate="NaN"), entry(id="../x"),
    entry(until=time.time() + 1e6), entry(private=False), entry(target=""),
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_as_good_as_none_and_said_once(tmp_path, caplog, text):
    file = DrillFile(tmp_path / "drill.json")
    file.path.write_text(text)
    file.path.chmod(0o600)
    file.look()
    file.look()
    assert file.days.under_way == ()
    assert file.problem
    assert len(caplog.records) == 1


def given_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("to give a file away takes root")
    os.chown(path, 65534, 65534)


def elsewhere(path: Path) -> Path:
    """Move a file or folder to another place of ours; return that."""
    place = path.parent.parent / f"other-{path.name}"
    return path.rename(place)


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


NOT_OURS = {
    "written by others": lambda file: file.chmod(0o666),
    "a stranger's": given_away,
    "a link": lambda file: file.symlink_to(elsewhere(file)),
    "a hard link": lambda file: file.hardlink_to(elsewhere(file)),
    "a second name": lambda file: (file.parent / "second").hardlink_to(file),
    "a pipe": replaced_by_pipe,
    "in a folder that others may write": lambda file: file.parent.chmod(0o777),
    "in a stranger's folder": lambda file: given_away(file.parent),
    "in a linked folder": lambda file: file.parent.symlink_to(elsewhere(file.parent)),
    "below a folder that others may write": lambda file: file.parent.parent.chmod(0o777),
}


@pytest.mark.parametrize("spoil", NOT_OURS.values(), ids=list(NOT_OURS))
def test_a_file_that_is_not_ours_is_ignored_and_said_once(tmp_path, caplog, spoil):
    file = DrillFile.beside(tmp_path / "a" / "pilotlight.toml")
    file.path.parent.mkdir(parents=True)
    file.path.write_text(entry())
    file.path.chmod(0o600)
    file.look()
    assert file.days.under_way
    caplog.clear()
    spoil(file.path)
    file.look()
    file.look()
    assert file.problem
    assert file.days.under_way == ()
    assert [each.getMessage() for each in caplog.records if "ignored" in each.msg] == [
        f"{file.path}: ignored: {file.problem}"
    ]


def test_nothing_is_written_or_deleted_through_a_linked_folder(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "drill.json").write_text("precious")
    (tmp_path / ".pilotlight").symlink_to(real)
    file = DrillFile.beside(tmp_path / "pilotlight.toml")
    with pytest.raises(OSError, match="link"):
        file.post(GameDay("ab", "gpt", 0.5, time.time() + 60))
    with pytest.raises(OSError, match="link"):
        file.clear()
    assert [each.name for each in real.iterdir()] == ["drill.json"]


def test_what_is_written_is_its_owners_alone(tmp_path):
    file = DrillFile.beside(tmp_path / "pilotlight.toml")
    file.post(GameDay("ab", "gpt", 0.5, time.time() + 60))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_status_and_doctor_show_it(run, server, app):
    run(*START)
    assert "find gpt refused" in run("status").stdout
    assert "drill --stop" in run("doctor").stdout


def test_calls_have_the_file_looked_at_in_the_background(monkeypatch, tmp_path):
    import threading

    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "on")
    looked = threading.Event()
    file = DrillFile(tmp_path / "drill.json")
    monkeypatch.setattr(file, "look", looked.set)
    try:
        file.days.refresh_soon()
        assert looked.wait(30)
    finally:
        WATCHER.stop()
