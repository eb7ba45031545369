"""`pilotlight receipts` and `pilotlight replay`, as they are typed."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from pilotlight import Fault
from pilotlight.cli import cli
from tests.receipts.kit import call, skip, tried, write

NOW = time.time()
CONFIG = """
receipts = "receipts.jsonl"
[targets.gpt]
model = "openai/gpt-4o"
[targets.local]
model = "ollama/llama3.2"
[routes.chat]
targets = ["gpt", "local"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run():
    return lambda *args: CliRunner().invoke(cli, args, prog_name="pilotlight")


@pytest.fixture
def log(folder):
    (folder / "pilotlight.toml").write_text(CONFIG)
    return write(
        folder / "receipts.jsonl",
        call(NOW - 72000, tried("gpt")),
        call(NOW - 2400, tried("gpt", Fault.SERVER_ERROR, 0.5), tried("local", takes=2.0)),
        call(NOW - 30, skip("gpt"), tried("local", Fault.LOCAL_OVERLOADED)),
    )


def test_the_configured_log_is_listed(run, log):
    result = run("receipts")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()[1:]
    assert [("primary" in rows[0]), ("failover" in rows[1]), ("exhausted" in rows[2])] == [True] * 3
    assert "gpt server_error" in rows[1]
    assert "gpt breaker_open, local local_overloaded" in rows[2]
    assert "2.50 s  0.50 s" in rows[1]
    assert "3 calls" in result.stderr


def test_the_newest_are_listed(run, log):
    result = run("receipts", "--limit", "1", "--json")
    data = json.loads(result.stdout)
    assert data["matched"] == 3
    assert [each["outcome"] for each in data["receipts"]] == ["exhausted"]


@pytest.mark.parametrize(
    ("options", "matched"),
    [
        (("--since", "10h"), 2),
        (("--since", "20m"), 1),
        (("--outcome", "failover"), 1),
        (("--target", "local"), 2),
        (("--route", "other"), 0),
    ],
)
def test_options_choose(run, log, options, matched):
    assert json.loads(run("receipts", "--json", *options).stdout)["matched"] == matched


def test_the_summary(run, log):
    result = run("receipts", "--summary")
    assert result.stdout.startswith("chat: 3 calls, 66.66% answered\n")
    assert "served by           gpt 50%, local 50%" in result.stdout
    assert "cost                unknown" in result.stdout
    data = json.loads(run("receipts", "--summary", "--json").stdout)
    assert data["routes"]["chat"]["time_lost"] == pytest.approx(1.5)


def test_the_page_is_written(run, log, folder):
    result = run("receipts", "--html", "page.html")
    assert result.exit_code == 0
    assert (folder / "page.html").read_text().startswith("<!doctype html>")
    assert run("receipts", "--html", "nowhere/page.html").exit_code == 1


def test_what_is_broken_is_counted_and_said(run, log):
    with log.open("a") as file:
        file.write('{"v":2}\ntorn')
    result = run("receipts")
    assert result.exit_code == 0
    assert "1 lines were no receipts" in result.stderr
    assert "1 receipts are of a newer pilotlight" in result.stderr


@pytest.mark.parametrize("command", ["receipts", "replay"])
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), 'add `receipts = "receipts.jsonl"`'),
        (("gone.jsonl",), "gone.jsonl: no such file"),
        (("gone.jsonl", "--since", "soon"), "is not like 90s, 30m or 24h"),
    ],
)
def test_what_is_missing_is_said(run, command, args, said):
    result = run(command, *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_replay_side_by_side(run, folder):
    (folder / "pilotlight.toml").write_text(CONFIG + "[retry]\nmax_retries = 0\n")
    outage = (
        call(NOW - 200 + n, tried("gpt", Fault.SERVER_ERROR, 0.25), tried("local", takes=0.25))
        for n in range(20)
    )
    write(folder / "receipts.jsonl", *outage)
    result = run("replay", "--set", "breaker.minimum_calls=2", "--json")
    sides = json.loads(result.stdout)["sides"]
    told = {name: side["on_dead_primary"] for name, side in sides.items()}
    # Five failures open the breaker for 15 s, in which the rest began.  Of two, the second
    # fails at 1.25, so the call of second 17 is a trial; its failure opens for 30 s more.
    assert told == {"as recorded": 20, "replayed": 5, "with --set": 3}
    table = run("replay", "receipts.jsonl", "--set", "breaker.minimum_calls=2").stdout
    assert "calls on the dead first target" in table
    assert "availability" in table


def test_replay_keeps_nothing_of_what_it_plays(run, log):
    before = log.read_bytes()
    assert run("replay").exit_code == 0
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("breaker.failure_rte=0.3", "did you mean 'failure_rate'?"),
        ("targets.gtp.time_reserve=3", "did you mean 'gpt'?"),
        ("breaker.window=long", "breaker.window: a duration is"),
        ("targets.local.warm=always", "changes nothing in a replay"),
        ("nonsense", "write KEY=VALUE"),
    ],
)
def test_replay_explains_a_wrong_setting(run, log, setting, said):
    result = run("replay", "--set", setting)
    assert result.exit_code == 2
    assert said in result.stderr
