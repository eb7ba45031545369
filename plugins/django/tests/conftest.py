"""Every test starts without breakers, orders or events, and without this machine's keys."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testapp.settings")

import django

django.setup()

import pilotlight  # noqa: E402
from django_pilotlight import conf, keeper  # noqa: E402
from pilotlight import testing  # noqa: E402
from pilotlight_chaos import ChaosServer  # noqa: E402

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
    conf.HOLDER.reset()
    yield
    keeper.KEEPER.stop(5.0)
    keeper.KEEPER.begin_afresh()
    conf.HOLDER.reset()
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
        "ROUTES": {"default": {"targets": ["gpt", "local"], "deadline": 30}},
        "RETRY": {"attempts": 0},
        **own,
    }


@pytest.fixture
def site(chaos, settings):
    """The settings, with models that the chaos server plays."""
    settings.PILOTLIGHT = config(chaos)
    return settings
