"""The commands of an operator."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_pilotlight.models import FailoverEvent, OperatorCommand

from .conftest import config, post_on_board

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command(*arguments, stdout=out, no_color=True)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def heard(chaos, settings):
    settings.PILOTLIGHT = config(chaos, LOG_EVENTS=True)
    return chaos


def test_status(heard):
    FailoverEvent.objects.create(kind="failed_over", target="gpt", to_target="local", reason="cut")
    code, text = run("pilotlight_status")
    assert code == 0
    assert "route default: gpt -> local" in text
    assert "target local: ollama/llama3.2, local" in text
    assert "failed over: gpt → local cut" in text


def test_status_as_json(heard):
    code, text = run("pilotlight_status", "--json")
    told = json.loads(text)
    assert code == 0
    assert [each["name"] for each in told["targets"]] == ["gpt", "local"]
    assert told["events"] == []


def test_status_shows_what_the_fleet_knows(heard, settings, tmp_path):
    settings.PILOTLIGHT = config(heard, STATE=f"sqlite:///{tmp_path}/board.db")
    assert "board.db: all closed" in run("pilotlight_status")[1]
    post_on_board(tmp_path / "board.db", "rate_limited")
    assert "board.db: gpt open rate_limited, by 12-ab" in run("pilotlight_status")[1]
    told = json.loads(run("pilotlight_status", "--json")[1])["fleet"]
    assert [(each["target"], each["state"]) for each in told["notices"]] == [("gpt", "open")]
    (tmp_path / "board.db").write_bytes(b"garbage" * 999)
    assert "DatabaseError" in run("pilotlight_status")[1]


def test_status_of_nothing_exits_with_one(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings.PILOTLIGHT = {}
    assert run("pilotlight_status")[0] == 1


def test_status_of_a_bad_configuration(settings):
    settings.PILOTLIGHT = {"ROUTES": {"default": {"targets": ["nobody"]}}}
    with pytest.raises(CommandError, match="unknown target 'nobody'"):
        run("pilotlight_status")


def test_probe(heard):
    assert run("pilotlight_probe", "local") == (0, "local: installed\n")
    assert heard.hits() == 0, "no model is called"
    heard.refuse()
    code, text = run("pilotlight_probe")
    assert code == 1
    assert "gpt: unreachable" in text
    assert "local: unreachable" in text


def test_probe_of_a_missing_key(settings):
    settings.PILOTLIGHT = {"ROUTES": {"default": {"targets": ["openai/gpt-4o"]}}}
    code, text = run("pilotlight_probe")
    assert code == 1
    assert "OPENAI_API_KEY" in text


@pytest.mark.parametrize("name", ["probe", "trip", "reset"])
def test_a_name_that_is_none(name, heard):
    with pytest.raises(CommandError, match="unknown target 'gtp'; did you mean 'gpt'"):
        run(f"pilotlight_{name}", "gtp")


def standing() -> list[tuple[str, str]]:
    return list(OperatorCommand.objects.order_by("pk").values_list("kind", "target"))


def test_trip_and_reset(heard):
    assert "taken out for 10 min" in run("pilotlight_trip", "gpt")[1]
    assert standing() == [("trip", "gpt")]
    assert "may be asked again" in run("pilotlight_reset", "gpt")[1]
    assert standing() == [("reset", "gpt")]
    run("pilotlight_trip", "gpt", "--minutes", "1")
    assert standing() == [("trip", "gpt")]
    left = OperatorCommand.objects.get().until - timezone.now()
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


def drills():
    drills = OperatorCommand.objects.filter(kind="drill").order_by("pk")
    return list(drills.values_list("target", "rate", "route"))


def test_a_drill_by_target_and_by_route(heard):
    _, said = run("pilotlight_drill", "--target", "gpt", "--rate", "1")
    assert said.startswith("100% of the calls of every route find gpt refused for 5 min.")
    run("pilotlight_drill", "--route", "default", "--minutes", "10")
    run("pilotlight_drill", "--target", "openai", "--route", "default")
    assert drills() == [("gpt", 1.0, ""), ("gpt", 0.2, "default"), ("openai", 0.2, "default")]
    assert run("pilotlight_drill", "--stop")[1].startswith("3 drills ended")
    assert standing() == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "name who is to be refused"),
        (("--stop", "--target", "gpt"), "--stop ends all"),
        (("--target", "gpt", "--rate", "0"), "--rate"),
        (("--target", "gpt", "--rate", "nan"), "--rate"),
        (("--target", "nobody"), "no target 'nobody'"),
        (("--target", "gpt", "--route", "nowhere"), "nowhere"),
    ],
)
def test_a_drill_that_makes_no_sense(heard, given, told):
    with pytest.raises(CommandError, match=told):
        run("pilotlight_drill", *given)
    assert standing() == []


def test_a_drill_that_leaves_nobody(chaos, settings):
    routes = {
        "default": {"targets": ["gpt"]},
        "home": {"targets": ["gpt", "local"], "private": True},
    }
    settings.PILOTLIGHT = config(chaos, ROUTES=routes, LOG_EVENTS=True)
    with pytest.raises(CommandError, match="leaves route default without another target"):
        run("pilotlight_drill", "--target", "gpt")
    with pytest.raises(CommandError, match="private calls of route home without"):
        run("pilotlight_drill", "--target", "local")
    assert standing() == []
    run("pilotlight_drill", "--target", "gpt", "--yes")
    assert standing() == [("drill", "gpt")]


def test_drills_add_up(chaos, settings):
    """Two of them, each of which leaves somebody, may leave nobody."""
    settings.PILOTLIGHT = config(chaos, LOG_EVENTS=True)
    run("pilotlight_drill", "--target", "gpt")
    with pytest.raises(CommandError, match="without another target"):
        run("pilotlight_drill", "--target", "local", "--rate=0.5")


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "100000"])
@pytest.mark.parametrize("command", [("trip", "gpt"), ("drill", "--target", "gpt")])
def test_minutes_that_make_no_sense(command, minutes, heard):
    name, *rest = command
    with pytest.raises(CommandError, match="--minutes"):
        run(f"pilotlight_{name}", *rest, "--minutes", minutes)


@pytest.mark.parametrize(
    "command", [("trip", "gpt"), ("reset", "gpt"), ("drill", "--target", "gpt")]
)
def test_a_command_that_no_worker_would_hear(command, site):
    name, *rest = command
    with pytest.raises(CommandError, match="LOG_EVENTS is off"):
        run(f"pilotlight_{name}", *rest)


def test_purge(heard):
    for days in (1, 29, 31):
        FailoverEvent.objects.create(at=timezone.now() - timedelta(days=days))
    assert run("pilotlight_purge_events")[1] == "1 events deleted.\n"
    assert run("pilotlight_purge_events", "--days", "7")[1] == "1 events deleted.\n"
    with pytest.raises(CommandError, match="0 or more"):
        run("pilotlight_purge_events", "--days", "-1")
