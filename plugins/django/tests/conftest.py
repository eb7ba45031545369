"""Every test starts without breakers, commands or events, and without this machine's keys."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testapp.settings")

import django

django.setup()

import pilotlight  # noqa: E402
from django_pilotlight import current_app, event_writer  # noqa: E402
from pilotlight import testing  # noqa: E402
from pilotlight_chaos import ChaosServer  # noqa: E402

# As in the core's suite: how long a machine takes says nothing about what is tested.
hypothesis_settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("here")

NEEDED = {
    "redis-server": shutil.which("redis-server") or shutil.which("valkey-server"),
    "chromium and chromium-driver": shutil.which("chromium") and shutil.which("chromedriver"),
    "PostgreSQL": shutil.which("postgres") or next(Path("/usr/lib/postgresql").glob("*/bin"), None),
}


def pytest_report_header() -> list[str]:
    return [f"NO {name} here: what needs it is NOT tested" for name, at in NEEDED.items() if not at]


GIVEN = {
    name: os.environ.get(name)
    for name in ("PILOTLIGHT_BACKGROUND", "PILOTLIGHT_TELEMETRY", "OPENAI_API_KEY")
}


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch):
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    monkeypatch.setenv("PILOTLIGHT_TELEMETRY", "off")
    for name in ("PILOTLIGHT_CONFIG", "OPENAI_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    testing.reset()
    current_app.HOLDER.reset()
    yield
    event_writer.WRITER.stop(5.0)
    event_writer.WRITER.begin_afresh()
    current_app.HOLDER.reset()
    pilotlight.listeners.clear()
    testing.reset()


@pytest.fixture
def chaos():
    with ChaosServer(models=["llama3.2"]) as server:
        yield server


def config(chaos: ChaosServer, **own: object) -> dict[str, object]:
    """Settings whose models are played by the chaos server."""
    return {
        "LOG_EVENTS": False,
        "TARGETS": {
            "gpt": {
                "model": "openai/gpt-4o",
                "api_key": "sk-test",
                "api_base": chaos.base("cloud") + "/v1",
                "concurrency": 4,
            },
            "local": {"model": "ollama/llama3.2", "api_base": chaos.base("house")},
        },
        "ROUTES": {"default": {"targets": ["gpt", "local"], "total_timeout": 30}},
        "RETRY": {"max_retries": 0},
        **own,
    }


def post_on_board(path: Path, reason: str) -> None:
    """Let another worker have said that the target "gpt" is out."""
    from pilotlight.registry import REGISTRY
    from pilotlight.state.board import put
    from pilotlight.state.notice import KEEP, Notice, dump
    from pilotlight.state.sqlite import SqliteBoard

    health = current_app.app().target("gpt").health
    [endpoint] = [each for each, record in REGISTRY.records.items() if record is health]
    notice = dump(Notice("open", reason, 0, "12-ab", 1))
    SqliteBoard(path).exchange([put(f"break:{endpoint.board_key}", notice, KEEP + 60)])


@pytest.fixture
def site(chaos, settings):
    """The settings, with models that the chaos server plays."""
    settings.PILOTLIGHT = config(chaos)
    return settings
