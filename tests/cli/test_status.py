"""`pilotlight status`: the targets as they are now."""

import json
import threading
from concurrent.futures import wait
from datetime import datetime

import pytest
from rich.console import Console

from pilotlight.cli.looking import survey, table
from pilotlight.cli.looking.facts import (
    Context,
    Looked,
    Retirement,
    RouteFacts,
    State,
    Survey,
    TargetFacts,
)
from pilotlight.cli.words import tokens

from .conftest import SECRET


def _targets(result):
    return {row["name"]: row for row in json.loads(result.stdout)["targets"]}


def test_table_and_routes(run, write, server, primary):
    write(gpt=primary, local={"model": "ollama/llama3.2:3b", "concurrency": 2, "queue": 5})
    result = run("status")
    assert result.exit_code == 0
    assert "route chat  gpt → local  no deadline" in result.stdout
    for word in ("reachable", "installed", "8k of 128k", "+5 wait", "2.0 GB", "UTC"):
        assert word in result.stdout
    assert SECRET not in result.output


def test_json(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b", other="anthropic/claude-sonnet-4-5")
    run("ask", "Load it", "--private")
    result = run("status", "--json")
    rows = _targets(result)
    assert (rows["gpt"]["state"], rows["gpt"]["key"]) == ("reachable", "present")
    assert (rows["other"]["state"], rows["other"]["key"]) == ("no_key", "missing")
    assert rows["other"]["check"] is None  # nobody was asked
    local = rows["local"]
    assert (local["state"], local["local"], local["server"]) == ("loaded", True, "0.33.0")
    assert local["context"] == {"sent": 8192, "loaded": 8192, "trained": 131072}
    assert (local["vram_share"], local["size"]) == (1.0, 2_019_393_189)
    assert local["retirement"] == dict.fromkeys(("day", "days", "source", "replacement"))
    assert local["check"]["seconds"] >= 0
    assert datetime.fromisoformat(local["check"]["at"]).utcoffset() is not None
    (route,) = json.loads(result.stdout)["routes"]
    assert (route["name"], route["targets"]) == ("chat", ["gpt", "local", "other"])


def test_the_keys_are_those_that_the_page_promises(run, write, server, primary):
    from tests.docs.pages import ROOT

    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    write(gpt=primary, local="ollama/llama3.2:3b")
    said = json.loads(run("doctor", "--json").stdout)

    def keys(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from keys(inner) if key != "gaps" else ()
        elif isinstance(value, list):
            for inner in value:
                yield from keys(inner)

    assert [key for key in sorted(set(keys(said))) if f"`{key}`" not in page] == []


def test_check_asks_for_the_models(run, write, server, primary, nobody):
    write(gpt=primary, gone=primary | {"api_base": f"{nobody}/v1"})
    rows = _targets(run("status", "--check", "--json"))
    assert rows["gpt"]["state"] == "ok"
    assert rows["gone"]["state"] == "unreachable"


def test_no_ollama_says_how_to_start_it(run, write):
    write(local="ollama/llama3.2:3b")
    result = run("status", "--json")
    assert result.exit_code == 0
    assert _targets(result)["local"]["mend"] == "ollama serve"


def test_missing_and_remote_models(run, write, server):
    write(gone="ollama/mistral:7b", stub="ollama/disguised:7b")
    rows = _targets(run("status", "--json"))
    assert rows["gone"]["state"] == "missing"
    assert (rows["stub"]["state"], rows["stub"]["local"]) == ("cloud", False)
    assert rows["stub"]["runs_on"] == "https://ollama.com:443"
    assert "→ ollama.com" in run("status").stdout


def test_server_that_is_no_ollama(run, write, server):
    write(local={"model": "ollama/llama3.2:3b", "api_base": f"{server.url}/p/x/nothing/here"})
    server.fault("x", "garbage", everywhere=True)
    assert _targets(run("status", "--json"))["local"]["state"] == "unreachable"


def test_what_an_old_server_does_not_say_is_unknown(run, write, sham):
    write(local={"model": "ollama/llama3.2:3b", "api_base": sham.url})
    local = _targets(run("status", "--json"))["local"]
    assert (local["state"], local["server"], local["vram_share"]) == ("loaded", "0.3.0", None)
    assert local["context"] == {"sent": 8192, "loaded": None, "trained": None}
    screen = run("status").stdout
    assert "8k of ?" in screen
    assert "loaded: ?" in screen
    assert "? in VRAM" in screen
    assert "0 to look at, 0 failed" in run("doctor").stdout


def test_the_prober_would_say_the_same(run, write, server, sham):
    from pilotlight import load
    from pilotlight.health.prober import Prober

    path = write(
        lit="ollama/llama3.2:3b",
        gone="ollama/mistral:7b",
        stub="ollama/disguised:7b",
        old={"model": "ollama/llama3.2:3b", "api_base": sham.url},
    )
    with load(path) as app:
        prober = Prober()
        prober.know(app.targets.values())
        prober.run_once()
        probed = {name: target.health.check.state for name, target in app.targets.items()}
    assert {name: row["state"] for name, row in _targets(run("status", "--json")).items()} == probed


class TestLooking:
    """Nobody is waited for beyond a bounded time, and one's trouble is not another's."""

    def test_one_that_never_answers_holds_up_nobody(self, run, write, server, monkeypatch):
        never = threading.Event()
        real = survey.check_target

        def check(target):
            return real(target) if target.name == "local" else never.wait()

        monkeypatch.setattr(survey, "check_target", check)
        monkeypatch.setattr(survey, "PATIENCE", 1.5)
        write(stuck="ollama/mistral:7b", local="ollama/llama3.2:3b")
        try:
            rows = _targets(run("status", "--json"))
        finally:
            never.set()
        assert rows["local"]["state"] == "installed"
        assert (rows["stuck"]["state"], rows["stuck"]["check"]) == ("unreachable", None)
        assert "no answer within" in rows["stuck"]["problem"]

    def test_a_check_that_breaks_is_said_of_that_target_alone(
        self, run, write, server, monkeypatch
    ):
        real = survey.check_target

        def check(target):
            if target.name == "broken":
                raise RuntimeError(SECRET)
            return real(target)

        monkeypatch.setattr(survey, "check_target", check)
        write(broken="ollama/mistral:7b", local="ollama/llama3.2:3b")
        result = run("status", "--json")
        rows = _targets(result)
        assert (rows["broken"]["state"], rows["local"]["state"]) == ("unknown", "installed")
        assert SECRET not in result.output

    def test_an_address_that_is_not_known(self, run, write, server):
        write(odd="azure/gpt-4o", local="ollama/llama3.2:3b")
        assert _targets(run("status", "--json"))["odd"]["state"] == "unknown"

    def test_interrupted(self, run, write, server, monkeypatch):
        def interrupt(looks, _):
            wait(looks)  # so that what they opened is closed
            raise KeyboardInterrupt

        monkeypatch.setattr(survey, "as_completed", interrupt)
        write(local="ollama/llama3.2:3b")
        result = run("status")
        assert (result.exit_code, result.stdout) == (130, "")

    @pytest.mark.parametrize(
        ("error", "said"), [(ImportError("no"), "can't be imported"), (TimeoutError(), "longer")]
    )
    def test_without_litellm(self, run, write, server, primary, monkeypatch, error, said):
        from pilotlight.catalog import litellm_module as module

        def broken():
            raise error

        monkeypatch.setattr(module, "litellm", broken)
        write(gpt=primary, local="ollama/llama3.2:3b")
        assert _targets(run("status", "--json"))["local"]["state"] == "installed"
        result = run("doctor", "--json")
        assert result.exit_code == 1
        assert said in json.loads(result.stdout)["checks"][-1]["text"]


class TestScreen:
    """The table in its widths."""

    def rendered(self, width, *targets, routes=()):
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        with console.file:
            table.show(console, Survey(targets, routes, None))
            return console.export_text()

    def facts(self, state: State, name: str = "local", **more) -> TargetFacts:
        known = {
            "model": "anthropic/claude-sonnet-4-5-20250929",
            "address": "http://127.0.0.1:1",
            "local": True,
            "key": "present",
            "slots": 16,
            "queue": 128,
            "context": Context(8192, 4096, 131072),
            "size": 48_000_000_000,
            "vram_share": 0.5,
            "check": Looked("2026-01-02T03:04:05+00:00", 1.25),
            "retirement": Retirement(
                "2026-10-23", 25, "platform.openai.com/docs/deprecations", "gpt-5.1-mini"
            ),
        }
        return TargetFacts(name=name, state=state, **known | more)

    @pytest.mark.parametrize("width", [80, 90, 98, 100, 140])
    def test_fits_and_keeps_every_fact_that_is_not_left_out(self, width):
        states = State.__args__
        text = self.rendered(width, *(self.facts(state, state) for state in states))
        assert max(map(len, text.splitlines())) <= width
        folded = "".join(text.split())
        for state in states:
            assert table._STATES[state][0].replace(" ", "") in folded
        for fact in ("8kof128k", "loaded:4k", "+128wait", "in25days", "gpt-5.1-mini"):
            assert fact in folded
        assert ("1.2s" in folded) == (width >= 98)
        assert ("48.0GB" in folded) == ("50%VRAM" in folded) == (width >= 90)

    def test_on_the_processor_alone(self):
        assert "CPU only" in self.rendered(100, self.facts("loaded", vram_share=0.0))

    def test_routes(self):
        route = RouteFacts("chat", ("a", "b"), 30.0, True, {"b": ("images", "audio")})
        text = self.rendered(100, routes=(route,))
        assert "route chat  a → b  deadline 30 s  private" in text
        assert "b can't do images, audio" in text
        assert "no route" in self.rendered(100)

    @pytest.mark.parametrize(
        ("count", "said"),
        [(None, "?"), (8192, "8k"), (131072, "128k"), (128_000, "128k"), (16385, "16385")],
    )
    def test_tokens(self, count, said):
        assert tokens(count) == said
