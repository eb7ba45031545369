"""Whatever others say, a terminal and a log see no control and no bidi character of theirs."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import sys
import time
import unicodedata
from logging import WARNING
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pilotlight
from pilotlight.cli import screen
from pilotlight.cli.doctor import _print
from pilotlight.cli.looking.checks import Check
from pilotlight.cli.looking.facts import (
    Context,
    DrillFacts,
    Looked,
    Retirement,
    RouteFacts,
    Survey,
    TargetFacts,
)
from pilotlight.cli.screen import complain, harmless, print_answer, print_json, remark
from pilotlight.core.drills.schedule import GameDay
from pilotlight.plain import logger, plain
from pilotlight.records.lines import encode
from pilotlight.records.money import Money, by_table
from pilotlight.records.page import page
from pilotlight.records.prices import PriceMap
from pilotlight.records.summary import Summary
from pilotlight.state.drill_file import DrillFile
from pilotlight.state.facts import FleetFacts, FleetNotice
from pilotlight.telemetry import logs
from pilotlight.telemetry.names import FAILOVER
from pilotlight.vocabulary.faults import Fault
from tests.receipts.kit import call, skip, tried

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = "\u061c\u200e\u200f"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\nFORGED\u202e\u2028\x9b31m\x7f\ud800"
ODD = st.sampled_from(
    [char for char in HOSTILE + MARKS if not char.isalnum()] + ["ü", "漢", "👩‍🚀"]
)
TEXTS = st.text() | st.lists(ODD | st.sampled_from("ab "), max_size=12).map("".join)
TEXTS = TEXTS | st.just(HOSTILE)
SOME = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)


def unsafe(text: str, but: str = "\n") -> list[str]:
    """Return the characters that a terminal would act upon, or that turn the reading order."""
    return [
        char
        for char in text
        if char not in but
        and (
            unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(char) in BIDI
            or char in MARKS
        )
    ]


@given(TEXTS)
def test_a_harmless_text_is_one_line_and_changes_nothing_else(text):
    said = plain(text)
    assert unsafe(said, but="") == []
    assert plain(said) == said
    if unsafe(text, but="") == []:
        assert said == text or any(0x206A <= ord(c) <= 0xFFFB for c in text)


# What is printed of facts.


@st.composite
def surveys(draw):
    """Facts of which every text is anybody's."""

    def text():
        return draw(TEXTS)

    target = TargetFacts(
        text(), text(), draw(st.sampled_from(["loaded", "missing", "unreachable", "cloud"])),
        draw(st.booleans()), text(), "present", 2, 3, text(), text(), Context(1, 2, 3), 10, 0.5,
        Looked("2026-11-22T21:46:57+00:00", 0.1), Retirement("2027-01-01", 3, text(), text()),
        text(), text(),
    )  # fmt: skip
    route = RouteFacts(text(), (text(), text()), 3.0, True, {text(): (text(),)})
    notice = FleetNotice(text(), "open", text(), 1.0, 1.0, text(), text())
    fleet = FleetFacts(text(), draw(st.none() | TEXTS), (notice,))
    drill = DrillFacts(text(), text(), text(), 0.5, "2026-11-22", text())
    return Survey((target,), (route,), None, fleet, (drill,), text(), text())


def printed(monkeypatch, run) -> str:
    """Return what goes to a terminal, without what is our own: colours."""
    buffer = io.StringIO()
    made = screen._Screen

    def console(**options):
        return made(**options | {"file": buffer, "no_color": True, "width": 120, "stderr": False})

    with monkeypatch.context() as patch:
        patch.setattr(screen, "_Screen", console)
        run()
    return buffer.getvalue()


@SOME
@given(seen=surveys(), about=TEXTS)
def test_status_and_doctor(monkeypatch, seen, about):
    from pilotlight.cli.looking.table import show

    checks = [Check("warn", about, about, about), Check("fail", "x", about)]
    said = printed(monkeypatch, lambda: show(screen.out(), harmless(seen)))
    said += printed(monkeypatch, lambda: _print(screen.out(), harmless(seen), harmless(checks)))
    assert unsafe(said) == []
    assert "FORGED" not in [line.strip() for line in said.splitlines()]


@SOME
@given(text=TEXTS)
def test_nothing_gets_past_a_console_however_it_is_printed(monkeypatch, text):
    from rich.table import Table
    from rich.text import Text

    def run():
        table = Table(title=Text(text))
        table.add_column(Text(text))
        table.add_row(Text(text))
        screen.out().print(Text(text), table)
        screen.err().print(text, markup=False)
        complain(text)
        complain(text, mend=True)
        remark(text)

    assert unsafe(printed(monkeypatch, run)) == []


@given(data=st.recursive(TEXTS, lambda x: st.lists(x) | st.dictionaries(TEXTS, x), max_leaves=5))
@SOME
def test_a_json_document_is_harmless_and_exact(capsys, data):
    capsys.readouterr()
    print_json(data)
    said = capsys.readouterr().out
    assert unsafe(said) == []
    assert json.loads(said) == data


@given(text=TEXTS)
@example("one\ttwo\nthree\r\n")
@SOME
def test_an_answer_is_exact_in_a_pipe_and_harmless_on_a_terminal(monkeypatch, text):
    for terminal in (False, True):
        buffer = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
        buffer.isatty = lambda terminal=terminal: terminal
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", buffer)
            print_answer(text, end="")
        buffer.flush()
        said = buffer.buffer.getvalue().decode()
        if terminal:
            assert unsafe(said, but="\n\t") == []
            assert said.count("\n") == text.count("\n")
        else:
            assert said == text.encode("utf-8", "backslashreplace").decode()


# Receipts of others.


def hostile_receipts(text: str) -> list:
    """Receipts of ours in which every text but a closed set's is somebody else's."""
    made = [
        call(1.0, tried("gpt", Fault.SERVER_ERROR, code="x", error_type="x"), tried("local")),
        call(2.0, tried("gpt"), skip("local", "residency")),
        call(3.0, tried("gpt", Fault.TIMEOUT)),
    ]

    def swapped(record):
        texts = {
            each.name: text
            for each in dataclasses.fields(record)
            if type(getattr(record, each.name)) is str and each.name not in KEPT
        }
        inner = {
            name: tuple(map(swapped, getattr(record, name)))
            for name in ("attempts", "skipped")
            if hasattr(record, name)
        }
        return dataclasses.replace(record, **texts, **inner)

    return [swapped(each) for each in made]


KEPT = {"outcome", "fault", "operation", "breaker", "process"}


@SOME
@given(text=TEXTS)
def test_every_command_that_reads_receipts(run, tmp_path, text):
    log, html = tmp_path / "log.jsonl", tmp_path / "page.html"
    log.write_bytes(b"".join(encode(each, "p") for each in hostile_receipts(text)))
    for words in (
        ("receipts", log), ("receipts", log, "--summary"), ("receipts", log, "--json"),
        ("receipts", log, "--route", text), ("replay", log), ("replay", log, "--json"),
        ("report-fault", log, "--all"), ("receipts", log, "--html", html),
    ):  # fmt: skip
        result = run(*map(str, words))
        assert unsafe(result.stdout + result.stderr) == [], words
        assert result.exception is None or isinstance(result.exception, SystemExit), words
    assert unsafe(html.read_text("utf-8")) == []


@given(TEXTS)
def test_a_page_is_harmless_and_escaped(text):
    found = page(
        Summary(PriceMap()).add_all(hostile_receipts(f"<script>{text}")),
        Money(by_table).add_all(hostile_receipts(f"<script>{text}")),
    )
    assert unsafe(found) == []
    assert "<script>" not in found


# Configurations, drills and answers of others.


def toml(text: str) -> str:
    """Write any text that TOML can hold."""
    return json.dumps(text.encode("utf-8", "ignore").decode()).replace("\x7f", "\\u007f")


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("status", "--json"), ("doctor",), ("doctor", "--json"), ("ask", "hi"),
        ("ask", "--json", "hi"), ("ask", "--route", HOSTILE, "hi"), ("drill",), ("receipts",),
        ("replay",), ("pull", HOSTILE), (HOSTILE,), ("receipts", HOSTILE), ("chaos", "run", HOSTILE),
        ("drill", "--target", HOSTILE), ("init", "--output", HOSTILE), ("report-fault", HOSTILE),
        ("demo", HOSTILE), ("replay", "--set", HOSTILE), ("--config", HOSTILE, "status"),
    ],
    ids=lambda words: "-".join(words).encode("ascii", "ignore").decode()[:40],
)  # fmt: skip
def test_every_command_with_a_configuration_full_of_them(run, folder, nobody, words):
    name = toml(f"a{HOSTILE}")
    (folder / "pilotlight.toml").write_text(
        f"[targets.{name}]\nmodel = {toml('ollama/' + HOSTILE)}\n"
        f'[targets.b]\nmodel = "openai/gpt-4o"\napi_base = "{nobody}/v1"\napi_key = "k"\n'
        f"replacement = {name}\nretires = 2030-01-01\n"
        f'[routes.{name}]\ntargets = [{name}, "b"]\n',
        "utf-8",
    )
    DrillFile.beside(folder / "pilotlight.toml").post(
        GameDay("ab", f"a{HOSTILE}".replace("\ud800", ""), 0.5, time.time() + 60)
    )
    result = run(*words)
    assert unsafe(result.stdout + result.stderr) == []
    assert "FORGED" not in [line.strip() for line in (result.stdout + result.stderr).splitlines()]


def test_the_model_that_init_takes_is_a_plain_name(run, folder, monkeypatch):
    from pilotlight.cli.looking import found

    hostile = {'x"\nsensitive = "os:system': None, HOSTILE: None}
    for models, taken in ((hostile, "llama3.2"), (hostile | {"qwen3:8b": None}, "qwen3:8b")):
        server = found.Ollama("http://127.0.0.1:1", "", HOSTILE, models)
        monkeypatch.setattr(found, "ollama", lambda server=server: server)
        result = run("init", "--force")
        assert f'"ollama/{taken}"' in (folder / "pilotlight.toml").read_text("utf-8")
        assert unsafe(result.stdout) == []


def test_init_makes_nothing_at_the_end_of_a_link(run, folder):
    (folder / "pilotlight.toml").symlink_to(folder / "elsewhere")
    assert run("init").exit_code != 0
    assert not (folder / "elsewhere").exists()


# Lines of a log.


@given(text=TEXTS)
@SOME
def test_a_line_of_ours_is_one_line(caplog, text):
    caplog.clear()
    logger("pilotlight").warning("%s of %d: %s", text, 3, ValueError(text), extra={"target": text})
    logs.say(FAILOVER, {"from_target": text, "to_target": text, "reason": text}, WARNING)
    for record in caplog.records:
        line = record.getMessage() + str(
            vars(record).get("target", vars(record).get("from_target"))
        )
        assert unsafe(line, but="") == []
    assert len(caplog.records) == 2


@given(text=TEXTS)
@SOME
def test_a_traceback_of_ours_has_harmless_words(caplog, text):
    caplog.clear()
    try:
        raise ValueError(text)
    except ValueError:
        logger("pilotlight").exception("a listener failed")
    (record,) = caplog.records
    assert unsafe(logging.Formatter().format(record), but="\n") == []


def test_every_logger_of_ours_is_harmless():
    root = Path(__file__).parents[2]
    rooms = [Path(pilotlight.__file__).parent, *root.glob("plugins/*/*_pilotlight")]
    assert len(rooms) == 5
    made = [
        path.name
        for room in rooms
        for path in room.rglob("*.py")
        if "logging.getLogger(" in path.read_text("utf-8").replace("logging.getLogger()", "")
    ]
    assert sorted(made) == ["environment.py", "plain.py", "setup.py"]  # the others log no texts
    assert logging.getLogger("pilotlight").filters
