"""The fleet in `status`: what stands on the board, read once, and nothing written."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import pilotlight
from pilotlight.cli.app import cli
from pilotlight.registry import REGISTRY
from pilotlight.state.board import claim, put
from pilotlight.state.notice import KEEP, DayNotice, Notice, dump
from pilotlight.state.sqlite import SqliteBoard


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "pilotlight.toml"
    path.write_text(
        f'state = "sqlite:///{tmp_path}/board.db"\n'
        '[targets.gpt]\nmodel = "openai/gpt-4o"\napi_key = "sk-hunter2"\n'
        'api_base = "http://127.0.0.1:9/v1"\n'
        '[routes.chat]\ntargets = ["gpt"]\n'
    )
    return path


def posted(config, tmp_path, state: str = "open", left: float = 30.0) -> SqliteBoard:
    with pilotlight.load(config) as app:
        app.target("gpt")
        (endpoint,) = REGISTRY.records
    board = SqliteBoard(tmp_path / "board.db")
    notice = dump(Notice(state, "rate_limited", 0, "12-ab", 1))
    board.exchange([put(f"break:{endpoint.board_key}", notice, KEEP + left)])
    board.exchange([put("break:" + "f" * 24, notice, KEEP + left)])
    board.exchange([claim(f"trial:{endpoint.board_key}", "13-cd", 5.0)])
    return board


def status(config, *options: str):
    done = CliRunner().invoke(cli, ["--config", str(config), "status", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_breakers_and_drills_are_shown(config, tmp_path):
    board = posted(config, tmp_path)
    board.exchange([put("drill:ab12", dump(DayNotice("anthropic", 0.5, None)), 60.0)])
    told = status(config)
    assert "gpt  open  rate_limited; trial in" in told
    assert "another configuration's  open" in told
    assert told.count("ab12") == 1
    assert "50% of the calls of every route find anthropic refused" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("state", "left", "shown"),
    [("open", 0.0, "half-open"), ("open", 30.0, "open"), ("closed", 0.0, "closed")],
)
def test_the_state_follows_from_the_time_left(config, tmp_path, state, left, shown):
    posted(config, tmp_path, state, left)
    fleet = json.loads(status(config, "--json"))["fleet"]
    (mine,) = [each for each in fleet["notices"] if each["target"] == "gpt"]
    assert (mine["state"], mine["by"], mine["trial"]) == (shown, "12-ab", "13-cd")


def test_a_suspected_target_is_shown_as_its_process_tells_it(config, tmp_path):
    with pilotlight.load(config) as app:
        breaker = app.target("gpt").health.breaker
        for _ in range(2):
            breaker.acquire().failure(OSError())
        silent = [breaker.acquire() for _ in range(3)]
        fleet = app._fleet
        fleet.step()
        told = status(config)
        assert f"gpt  suspected  by {fleet.worker}" in told
        (mine,) = json.loads(status(config, "--json"))["fleet"]["notices"]
        assert (mine["target"], mine["state"]) == ("gpt", "suspected")
        for permit in silent:
            permit.release()


def test_looking_writes_nothing(config, tmp_path):
    assert "all closed" in status(config)
    assert [each.name for each in tmp_path.iterdir()] == ["pilotlight.toml"]


def test_a_store_that_cannot_be_read_is_said(config, tmp_path):
    (tmp_path / "board.db").write_bytes(b"garbage" * 999)
    assert "can't be read: DatabaseError" in status(config)


def test_without_a_store_there_is_no_fleet(config):
    config.write_text(config.read_text().partition("\n")[2])
    assert "fleet" not in status(config)
    assert json.loads(status(config, "--json"))["fleet"] is None
    with pilotlight.load(config) as app:
        assert app.fleet() is None


def drill(config, *options: str):
    return CliRunner().invoke(cli, ["--config", str(config), "drill", *options])


def test_a_drill_goes_by_the_board_to_all_who_share_it(config, tmp_path):
    done = drill(config, "--target", "gpt", "--rate", "0.5", "--yes")
    assert done.exit_code == 0, done.output
    assert "50% of the calls of every route find gpt refused, for 5 min more" in done.output
    assert not (tmp_path / ".pilotlight").exists(), "the file is for those that share no board"
    (told,) = json.loads(drill(config, "--json").stdout)["drills"]
    assert told["target"] == "gpt"
    assert json.loads(status(config, "--json"))["drills"][0]["id"] == told["id"]
    assert "no drill is under way" in drill(config, "--stop").output
    assert json.loads(status(config, "--json"))["drills"] == []


def test_a_board_that_cannot_be_written_is_said(config, tmp_path):
    (tmp_path / "board.db").write_bytes(b"garbage" * 999)
    done = drill(config, "--target", "gpt", "--yes")
    assert done.exit_code == 2
    assert "board.db: DatabaseError" in done.output
