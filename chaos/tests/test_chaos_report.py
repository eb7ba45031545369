"""Reports of journals: what counts as well, the page, Markdown, JUnit, and the commands."""

import json
import re
import sys
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from pilotlight.cli import chaos

from pilotlight_chaos.commands import command
from pilotlight_chaos.lab import runner
from pilotlight_chaos.report.html import page
from pilotlight_chaos.report.junit import junit
from pilotlight_chaos.report.markdown import END, MARK, markdown
from pilotlight_chaos.report.reading import pairs, told

NASTY = "<script>alert('|')</script>"


def look(**figures):
    """One look at the hypothesis: it ends at the first figure above 5."""
    probes = []
    for name, output in figures.items():
        met = output <= 5
        probes.append({"activity": {"name": name}, "output": output, "tolerance_met": met})
        if not met:
            break
    return {"steady_state_met": probes[-1]["tolerance_met"], "probes": probes}


def journal(after, *, during=(), before=None, status="completed", negative=False, seed=0, **other):
    looks = [*during, *([after] if after else [])]
    call = {
        "shape": "sync",
        "began": 0.5,
        "took": 0.02,
        "ended": True,
        "served_by": "local",
        "error": "",
        "verdict": "whole",
        "faults": [],
    }
    lost = call | {"served_by": "", "error": "AllTargetsFailed"}
    change = {"at": 0.6, "target": "primary", "old": "closed", "new": "open", "reason": "x"}
    return {
        "experiment": {
            "pilotlight-experiment": "01-mine",
            "title": NASTY,
            "description": "What it is.",
            "configuration": {"negative_control": {"what": "no breaker", "deviates": "hits"}},
            "steady-state-hypothesis": {
                "title": "It is well",
                "probes": [{"name": name, "tolerance": [0, 5]} for name in ("hits", "lost")],
            },
        },
        "status": status,
        "deviated": any(not each["steady_state_met"] for each in looks),
        "duration": 2.0,
        "steady_states": {"before": before, "during": list(during), "after": after},
        "rollbacks": [{"status": "succeeded"}],
        "pilotlight": {
            "seed": seed,
            "negative": negative,
            "aborted": "",
            "route": ["primary", "local"],
            "seconds": 2.0,
            "marks": {"fault": 0.5, "heal": 1.5},
            "spans": [[f"primary: {NASTY}", 0.5, 1.5]],
            "calls": [call, lost],
            "changes": [change],
        },
    } | other


HELD = journal(look(hits=3, lost=0))
CONTROL = journal(look(hits=9, lost=0), negative=True)


def test_one_that_kept_its_thresholds_is_well():
    run = told(HELD)
    assert run.ok
    assert run.outcome == "held"
    assert [(each.name, each.shown, each.threshold) for each in run.measures] == [
        ("hits", "3", "≤ 5"),
        ("lost", "0", "≤ 5"),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        journal(look(hits=3, lost=9)),
        journal(look(hits=3, lost=0), during=[look(hits=9)]),
        journal(look(hits=3, lost=0), status="interrupted"),
        journal(look(hits=3, lost=0), rollbacks=[]),
        journal(look(hits=3, lost=0), rollbacks=[{"status": "failed"}]),
    ],
    ids=["after", "during", "interrupted", "not rolled back", "rollback failed"],
)
def test_one_that_did_not_is_not(bad):
    assert not told(bad).ok


@pytest.mark.parametrize(
    ("control", "well"),
    [
        (CONTROL, True),
        (journal(look(hits=3, lost=0), negative=True), False),
        (journal(look(hits=3, lost=9), negative=True), False),
        (journal(look(hits=9), negative=True, status="interrupted"), False),
    ],
    ids=["where it should", "nowhere", "for another reason", "aborted"],
)
def test_a_control_has_to_deviate_and_for_its_reason(control, well):
    assert told(control).ok is well


def test_the_page_needs_nothing_but_itself_and_trusts_no_title():
    text = page(pairs([told(HELD), told(CONTROL)]))
    assert "1/1 experiments held, 1/1 negative controls deviated where they should" in text
    assert not re.search(r"(src|href)=[\"'](?!#)|https?://|@import|url\(", text)
    assert "<script" not in text
    assert text.count("<svg") == 2
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    anchors = re.findall(r'href="#([^"]+)"', text)
    assert all(f'id="{anchor}"' in text for anchor in anchors)
    ElementTree.fromstring(re.search(r"<svg.*?</svg>", text, re.DOTALL)[0])


def test_a_key_explains_each_mark_that_is_drawn_and_no_other():
    text = page(pairs([told(HELD)]))
    shown = set(re.findall(r'class="k-([a-z-]+)"', text))
    drawn = set(re.findall(r'<(?:rect|circle|path) class="([a-z-]+)"', text))
    assert shown == drawn


def test_it_is_seen_where_each_fault_begins_though_windows_overlap():
    spans = [["primary: slow", 0.5, 1.5], ["local: oom", 0.8, 1.2], ["primary: cut", 1.0, None]]
    text = page(pairs([told(HELD | {"pilotlight": HELD["pilotlight"] | {"spans": spans}})]))
    assert text.count('<line class="start"') == len(spans)


def test_the_rules_of_paper_come_after_those_that_they_override():
    style = re.search(r"<style>(.*)</style>", page(pairs([told(HELD)])), re.DOTALL)[1]
    *_, last = style.split("@media ")
    assert last.startswith("print")
    assert last.rstrip().endswith("} }"), "nothing comes after it"
    for selector in ("body", "table", "svg"):
        assert re.search(rf"\b{selector}\b[^{{}}]*{{", last), selector


def test_a_run_without_a_world_is_told_without_a_picture():
    lost = journal(None, status="interrupted", pilotlight={"aborted": "the world was not built"})
    text = page(pairs([told(lost)]))
    assert "aborted: the world was not built" in text
    assert "<svg" not in text


def test_markdown_puts_seeds_side_by_side_and_breaks_no_row():
    other = journal(look(hits=4, lost=1), seed=2)
    text = markdown(pairs([told(HELD), told(CONTROL), told(other)]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}
    assert "| 3 / 4 | no breaker | 9 |" in text
    assert "2/2 experiments held, 1/1 negative controls" in text


def test_junit_is_read_by_machines():
    runs = [told(HELD), told(CONTROL), told(journal(look(hits=9)))]
    suite = ElementTree.fromstring(junit(runs).split("\n", 1)[1])
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests"))
    assert [case.find("failure") is not None for case in cases[:3]] == [False, False, True]
    assert suite.get("failures") == "1"


# The commands.


def keep(folder, *journals):
    for number, each in enumerate(journals):
        (folder / f"{number}.json").write_text(json.dumps(each), "utf-8")


def test_the_command_writes_reports_of_a_folder(tmp_path):
    keep(tmp_path, HELD, CONTROL)
    about = tmp_path / "page.md"
    about.write_text(f"# Title\n\n{MARK}stale\n{END}\nthe rest\n", "utf-8")
    outputs = [about, tmp_path / "a.html", tmp_path / "a.xml"]
    order = ["report", str(tmp_path), *(f"-o{path}" for path in outputs)]
    done = CliRunner().invoke(command, order)
    assert done.exit_code == 0, done.output
    assert "1/1 experiments held" in done.output
    text = about.read_text("utf-8")
    assert text.startswith("# Title\n")
    assert text.endswith("\nthe rest\n")
    assert "| 3 | no breaker | 9 |" in text
    assert "stale" not in text
    assert all(path.stat().st_size > 100 for path in outputs)


def test_a_deviation_is_an_exit_code(tmp_path):
    keep(tmp_path, journal(look(hits=9)))
    done = CliRunner().invoke(command, ["report", str(tmp_path), "-o", str(tmp_path / "a.md")])
    assert done.exit_code == 1
    assert "0/1 experiments held" in done.output


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["run"], "name experiments, or say --all"),
        (["run", "01", "--all"], "name experiments, or say --all"),
        (["run", "zz"], "no experiment 'zz'"),
        (["run", "01", "-o", "a.pdf"], "ends in one of .html, .md, .xml"),
        (["run", "01", "-o", "nowhere/a.md"], "there is no folder"),
    ],
)
def test_wrong_orders_are_told_before_anything_is_run(order, said):
    done = CliRunner().invoke(command, order)
    assert done.exit_code != 0
    assert said in done.output


def test_what_is_no_journal_is_named(tmp_path):
    (tmp_path / "other.json").write_text("{}", "utf-8")
    done = CliRunner().invoke(command, ["report", str(tmp_path), "-o", str(tmp_path / "a.md")])
    assert done.exit_code == 1
    assert "other.json: is no journal of a pilotlight experiment" in done.output


def test_the_list_names_every_experiment():
    lines = CliRunner().invoke(command, ["list"]).output.splitlines()
    assert len(lines) == len(runner.packaged())
    assert lines[0].split(maxsplit=1) == ["01-hard-down", "The primary is down"]


def test_ctrl_c_ends_it_and_not_only_the_experiment_that_runs(monkeypatch):
    run = []
    stopped = journal(None, status="interrupted", pilotlight={"aborted": ""})
    monkeypatch.setattr(runner, "run", lambda *_, **__: run.append(1) or stopped)
    assert CliRunner().invoke(command, ["run", "--all"]).exit_code == 130
    assert len(run) == 1


def test_without_chaostoolkit_the_mend_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "pilotlight_chaos.lab.runner", raising=False)
    from pilotlight_chaos import lab

    monkeypatch.delattr(lab, "runner", raising=False)
    monkeypatch.setitem(sys.modules, "chaoslib.experiment", None)
    done = CliRunner().invoke(chaos.command, ["run", "01"])
    assert done.exit_code == 1
    assert "pip install 'pilotlight[chaos]'" in done.output
