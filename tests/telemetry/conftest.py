from __future__ import annotations

import logging

import pytest

from pilotlight.telemetry import environment
from tests.telemetry.spy import Lines, Spy


@pytest.fixture(autouse=True)
def _awake(_clean_process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PILOTLIGHT_TELEMETRY")
    for name in ("OTEL_SDK_DISABLED", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch):
    made = Spy()
    monkeypatch.setattr(environment, "signals", lambda: made.signals)
    yield made
    made.close()


@pytest.fixture
def lines():
    """Every record, from debug up."""
    handler, logger = Lines(), logging.getLogger("pilotlight")
    level = logger.level
    logging.getLogger().addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logging.getLogger().removeHandler(handler)
    logger.setLevel(level)
