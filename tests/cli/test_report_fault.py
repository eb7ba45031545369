"""An undiagnosed fault becomes an entry that can be sent upstream."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pilotlight import Fault, Route, receipts
from pilotlight.cli.app import cli
from pilotlight.testing import Fails, ScriptedTarget


class Odd(Exception):
    """Something nobody has seen before."""


@pytest.fixture
def receipt() -> dict:
    odd = ScriptedTarget("odd", Fails(Fault.UNKNOWN, error=Odd("PROMPT-MARKER")))
    known = ScriptedTarget("known", Fault.SERVER_ERROR)
    with receipts() as log:
        Route("r", (odd, known, ScriptedTarget("fine"))).complete(
            [{"role": "user", "content": "x"}]
        )
    return log[0].to_dict()


def run(text: str, *options: str):
    return CliRunner().invoke(cli, ["report-fault", *options], input=text)


def test_only_the_unknown_is_reported(receipt):
    entries = json.loads(run(json.dumps(receipt)).stdout)
    assert [entry["model"] for entry in entries] == ["scripted/odd"]
    assert "Odd" in entries[0]["fault"]
    assert "PROMPT-MARKER" not in json.dumps(entries)


def test_all_takes_every_fault_from_lists_lines_and_ask_output(receipt):
    for text in (
        json.dumps([receipt]),
        json.dumps(receipt) + "\n" + json.dumps(receipt),
        json.dumps({"text": "", "receipt": receipt}),
    ):
        entries = json.loads(run(text, "--all").stdout)
        assert {entry["expected_class"] for entry in entries} == {"unknown", "server_error"}


def test_entries_have_the_fields_of_the_corpus(receipt, tmp_path):
    target = tmp_path / "entry.json"
    assert run(json.dumps(receipt), "-o", str(target)).exit_code == 0
    entry = json.loads(target.read_text())[0]
    assert {"id", "provider", "model", "fault", "status", "headers", "modes"} <= set(entry)


@pytest.mark.parametrize(
    "text",
    [
        '{"receipt": 5}', '{"receipt": [1]}', '{"attempts": 5}', '{"attempts": [5]}', "5", "[[1]]",
        '{"attempts": {"a": 1}}', '{"attempts": [{"fault": {"a": 1}, "model": []}]}', "[" * 10_000,
    ],
    ids=range(9),
)  # fmt: skip
def test_json_of_any_shape_is_one_line(run, text):
    result = run("report-fault", "--all", "-", stdin=text)
    assert result.exit_code in (0, 1, 2)
    assert isinstance(result.exception, SystemExit | None)


def test_nothing_to_report_and_bad_input_say_so(receipt):
    receipt["attempts"] = []
    nothing = run(json.dumps(receipt))
    assert (nothing.exit_code, "no undiagnosed fault" in nothing.stderr) == (1, True)
    broken = run("not json")
    assert (broken.exit_code, "not JSON" in broken.stderr) == (2, True)
