"""`pilotlight demo`: played once, short; its numbers and its page."""

import json
import re
from types import SimpleNamespace

import pytest

from pilotlight.cli.demo.notes import CallNote, Transition
from pilotlight.cli.demo.play import Script
from pilotlight.cli.demo.tally import tally

pytestmark = pytest.mark.processes


def test_plays_and_reports(run, folder):
    result = run("demo", "--seconds", "6", "--simulate", "--report", "demo.html")
    assert result.exit_code == 0, result.output
    for phase in ("healthy", "30% errors", "dead", "rate-limited", "healed"):
        assert re.search(rf"phase +{phase}: ", result.stdout)
    assert "→ half-open" in result.stdout
    assert re.search(r"all \d+ calls answered; without pilotlight \d+ of them", result.stdout)
    page = (folder / "demo.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?://(?!127\.0\.0\.1)|<script|<link|@import|url\(", page)
    assert page.count("<circle") > 30


def test_uses_a_real_ollama_and_prints_one_document(run, server):
    result = run("demo", "--seconds", "5", "--json", "--seed", "7")
    document = json.loads(result.stdout)
    assert result.exit_code == 0, document
    assert document["ok"] is True
    assert document["local_says"] == f"a real Ollama at {server.base('local')}"
    assert document["local_model"] == "ollama/llama3.2:3b"  # neither stub nor embedder
    assert document["answered"] == document["calls"]
    assert server.hits("local") > document["by_local"]  # the calls, and one to warm up
    assert document["without"] < document["calls"]


def test_without_pilotlight_chaos_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr("pilotlight.extras.installed", lambda module: False)
    result = run("demo")
    assert result.exit_code == 1
    assert "pip install 'pilotlight[chaos]'" in result.stderr


def test_report_into_no_folder_is_refused_before_the_show(run):
    result = run("demo", "--report", "no/such/demo.html")
    assert result.exit_code == 2
    assert result.stdout == ""


def _call(began, served_by="local", **changes):
    facts = {"first_try": False, "spared": False, "well": True, "phase": "healthy", "error": ""}
    facts |= {"ended": began + 0.1, "added": 0.0, "own": 0.0} | changes
    return CallNote(began=began, served_by=served_by, **facts)


def _play(calls, transitions=()):
    return SimpleNamespace(
        script=Script(), local_model="ollama/x", local_says="played", dead_hits=0,
        notes=SimpleNamespace(calls=calls, transitions=list(transitions)),
    )  # fmt: skip


SEEN = [Transition(1.0, "primary", "closed", state, "", None) for state in
        ("open", "half-open", "closed")]  # fmt: skip


def test_what_a_plain_client_would_have_had():
    result = tally(_play([
        _call(0.0, "primary", first_try=True),
        _call(1.0, "primary"),  # needed a retry
        _call(2.0, spared=True),  # the breaker was late to close
        _call(9.0, spared=True, well=False),
    ], SEEN))  # fmt: skip
    assert (result.calls, result.answered, result.without) == (4, 4, 2)
    assert result.ok


@pytest.mark.parametrize(
    ("calls", "seen", "said"),
    [
        ([_call(0.0, "", error="TypeError: no")], SEEN, "1 calls were not answered"),
        ([_call(0.0)], SEEN[:1], "never seen: half-open"),
        ([], SEEN, "no call was made"),
    ],
)
def test_what_is_not_as_it_should_be(calls, seen, said):
    result = tally(_play(calls, seen))
    assert not result.ok
    assert said in result.problems


def test_phases_fill_the_time():
    phases = Script(30.0).phases
    assert phases[0].start == 0
    assert phases[-1].end == pytest.approx(30.0)
    assert all(a.end == b.start for a, b in zip(phases, phases[1:]))
    assert Script(30.0).phase_at(99).name == "healed"


def test_every_question_is_there():
    from pilotlight.cli.demo.play import _questions

    assert len(set(_questions(1))) == 40
    assert _questions(1) != _questions(2)
