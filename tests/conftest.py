"""Every test starts in a process that knows nothing: no health, no listeners, no environment."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import pilotlight
from pilotlight import testing
from pilotlight.catalog.litellm_module import shut_network_traps
from pilotlight.catalog.providers import CATALOG
from pilotlight.core.drills import forced
from pilotlight.testing import FakeClock

# Many tests import litellm themselves: its background fetch of a price list would outlive the
# import, and stand in the way of those who watch the sockets.
shut_network_traps()

for folder in (
    "core",
    "dialects",
    "doors",
    "providers",
):  # their helper modules: `kit`, `scenarios`, ...
    sys.path.append(str(Path(__file__).parent / folder))

settings.register_profile(
    "here",
    deadline=None,
    max_examples=100,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")


def pytest_report_header() -> str:
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    return f"redis: {server or 'NO redis-server on PATH: the Redis store is NOT tested here'}"


def pytest_collection_finish() -> None:
    gc.freeze()  # seven thousand tests are no garbage, and need not be walked each time


@pytest.fixture(scope="module")
def settled_heap():
    """Whoever collects in each test walks what the test has made, not all that was imported."""
    gc.collect()
    gc.freeze()


FOREIGN = {"PILOTLIGHT_CONFIG", "OLLAMA_HOST"}
FOREIGN |= {f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")}
FOREIGN |= {f"{kind}_proxy" for kind in ("http", "https", "all", "no")}
FOREIGN |= {name for info in CATALOG.values() for name in (*info.keys, *info.bases)}


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch):
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    # Checks in the background would knock on every test's door; tests/health switches them on.
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    # It would wake up for pytest's own log handlers; tests/telemetry switches it on.
    monkeypatch.setenv("PILOTLIGHT_TELEMETRY", "off")
    testing.reset()
    yield
    pilotlight.listeners.clear()
    forced.active.clear()
    testing.reset()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
