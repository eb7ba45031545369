"""Each system check, with the setting that triggers it."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import override_settings
from django.utils import timezone

from django_pilotlight import checks
from django_pilotlight.models import OperatorCommand

GOOD = {
    "TARGETS": {"local": {"model": "ollama/llama3.2"}},
    "ROUTES": {"default": {"targets": ["local"]}},
}


def found(deploy: bool = False, **settings: object) -> list[tuple[str, str, str | None]]:
    with override_settings(**settings):
        messages = run_checks(tags=["pilotlight"], include_deployment_checks=deploy)
    return [(each.id, each.msg, each.hint) for each in messages]


def test_good_settings_have_nothing_to_say():
    assert found(PILOTLIGHT=GOOD, deploy=True) == []
    assert found(PILOTLIGHT={}, deploy=True) == []


CASES = {
    "not a dict": ("E001", ["gpt"], "list, not a dict", "PILOTLIGHT = {"),
    "key": ("E001", GOOD | {"ROUTE": {}}, "unknown key 'ROUTE'", "Did you mean 'ROUTES'?"),
    "lower case": ("E001", {"routes": {}}, "unknown key 'routes'", "Did you mean 'ROUTES'?"),
    "inner key": (
        "E001",
        GOOD | {"ROUTES": {"default": {"targets": ["local"], "total_timout": 3}}},
        "routes.default.total_timout: unknown key",
        "did you mean 'total_timeout'?",
    ),
    "no targets": (
        "E002",
        GOOD | {"ROUTES": {"default": {"targets": []}}},
        "routes.default.targets: needs at least one entry",
        None,
    ),
    "targets missing": (
        "E002",
        GOOD | {"ROUTES": {"default": {}}},
        "routes.default.targets: missing",
        "add `targets",
    ),
    "unknown target": (
        "E002",
        GOOD | {"ROUTES": {"default": {"targets": ["locl"]}}},
        "unknown target 'locl'",
        "did you mean 'local'?",
    ),
    "dotted path": ("E003", GOOD | {"SENSITIVE": "nowhere.at:all"}, "sensitive: ", None),
    "value": (
        "E005",
        GOOD | {"BREAKER": {"failure_rate": 7}},
        "breaker.failure_rate: should be less than or equal to 1, got 7",
        None,
    ),
    "database": ("E005", GOOD | {"DATABASE": "log"}, "unknown database 'log'", "Known: default"),
    "log_events": ("E005", GOOD | {"LOG_EVENTS": "yes"}, "LOG_EVENTS", "True or False"),
    "token": ("E005", GOOD | {"STATUS_TOKEN": "short"}, "shorter than 16", "token_urlsafe"),
    "cache": ("E006", GOOD | {"STATE": "cache:default"}, "LocMemCache", "RedisCache"),
}


@pytest.mark.parametrize("number, value, words, hint", CASES.values(), ids=CASES)
def test_an_error(number, value, words, hint):
    messages = found(PILOTLIGHT=value)
    assert [each[0] for each in messages] == [f"pilotlight.{number}"], messages
    assert words in messages[0][1]
    assert hint is None or hint in messages[0][2]


def test_a_secret_is_not_shown():
    told = found(PILOTLIGHT=GOOD | {"TARGETS": {"gpt": {"model": "x", "api_key": ["sk-1"]}}})
    assert told
    assert "sk-1" not in str(told)


def test_two_sources():
    told = found(PILOTLIGHT=GOOD, PILOTLIGHT_CONFIG="pilotlight.toml")
    assert [each[0] for each in told] == ["pilotlight.E007"]


def test_a_file_that_is_not_there(tmp_path):
    [(number, text, _)] = found(PILOTLIGHT={}, PILOTLIGHT_CONFIG=tmp_path / "none.toml")
    assert number == "pilotlight.E005"
    assert "none.toml" in text


@pytest.mark.parametrize("more", [{"private": True}, {"sensitive": "math:sqrt"}], ids=str)
def test_a_private_route_without_a_local_target(more):
    routes = {"default": {"targets": ["openai/gpt-4o"], **more}}
    [(number, text, hint)] = found(PILOTLIGHT={"ROUTES": routes})
    assert number == "pilotlight.W004"
    assert "'default'" in text
    assert "ollama" in hint


def test_the_middleware_is_missing(settings):
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != checks.MIDDLEWARE]
    assert [each[0] for each in found(PILOTLIGHT=GOOD)] == ["pilotlight.W002"]


def test_a_subclass_of_the_middleware_will_do(settings):
    rest = [each for each in settings.MIDDLEWARE if each != checks.MIDDLEWARE]
    settings.MIDDLEWARE = [*rest, "tests_subclass.Mine"]
    import sys
    import types

    from django_pilotlight.middleware import LLMContextMiddleware

    module = types.ModuleType("tests_subclass")
    module.Mine = type("Mine", (LLMContextMiddleware,), {})
    sys.modules["tests_subclass"] = module
    try:
        assert found(PILOTLIGHT=GOOD) == []
    finally:
        del sys.modules["tests_subclass"]


def test_a_missing_key_is_for_deployment(monkeypatch):
    value = {"ROUTES": {"default": {"targets": ["openai/gpt-4o"]}}}
    assert found(PILOTLIGHT=value) == []
    [(number, text, hint)] = found(PILOTLIGHT=value, deploy=True)
    assert (number, text) == ("pilotlight.E004", "The target 'openai/gpt-4o' has no API key.")
    assert "OPENAI_API_KEY" in hint
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert found(PILOTLIGHT=value, deploy=True) == []


def test_checks_start_neither_telemetry_nor_receipts(tmp_path, monkeypatch):
    import pilotlight

    monkeypatch.setattr("pilotlight.telemetry.setup.configure_telemetry", None)
    value = GOOD | {"RECEIPTS": str(tmp_path / "r.jsonl"), "TELEMETRY": {"service_name": "x"}}
    assert found(PILOTLIGHT=value, deploy=True) == []
    assert pilotlight.listeners == []


def test_migrations_are_whole(db):
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_what_operators_commanded_stays_when_its_table_is_renamed():
    def migrated(name):
        MigrationExecutor(connection).migrate([("django_pilotlight", name)])
        return MigrationExecutor(connection).loader.project_state(("django_pilotlight", name)).apps

    try:
        before = migrated("0002_order_rate_route").get_model("django_pilotlight", "Order")
        before.objects.create(kind="trip", target="gpt", until=timezone.now(), rate=0.5)
    finally:
        migrated("0003_rename_order_operatorcommand")
    [kept] = OperatorCommand.objects.all()
    assert (kept.kind, kept.target, kept.rate) == ("trip", "gpt", 0.5)
