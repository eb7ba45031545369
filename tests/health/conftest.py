"""The background is on here; nobody sleeps, and whoever waits for a thread waits for an event."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import pilotlight
from pilotlight import health
from pilotlight.health.prober import PROBER
from pilotlight.wire.pool import _POOLS

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _background(monkeypatch: pytest.MonkeyPatch, _clean_process):
    monkeypatch.delenv("PILOTLIGHT_BACKGROUND")
    yield
    thread = PROBER._thread
    health.reset()
    if thread is not None:
        thread.join(20.0)
        assert not thread.is_alive()
    for pool in list(_POOLS):  # a check may have opened one again after its target was let go
        pool.close()


@pytest.fixture
def seen():
    """Every event of the test, in order."""
    events = []
    pilotlight.listeners.append(events.append)
    return events
