"""Every test starts in a process that knows nothing: no health, no listeners, no environment."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections import Counter
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
# A test that says how many examples it needs says it as a multiple of the profile's, so that it is
# quick here too; `make test-all` tries them all.
settings.register_profile("quick", settings.get_profile("here"), max_examples=25)
settings.load_profile("here")

BUDGET = 600.0  # seconds for all quick tests together, on one core
LONGEST = 10.0  # seconds for one of them


class Budget:
    """Holds the quick suite to its time: what needs more is marked `processes`, or made quicker."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.spent[report.nodeid] += report.duration

    @property
    def overspent(self) -> list[str]:
        total = sum(self.spent.values())
        told = [f"all tests took {total:.0f} s; {BUDGET:.0f} are allowed"] * (total > BUDGET)
        slow = [each for each in self.spent.most_common() if each[1] > LONGEST]
        return told + [
            f"{name} took {took:.0f} s; {LONGEST:.0f} are allowed" for name, took in slow
        ]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.overspent and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.overspent:
            terminalreporter.write_line(f"over the budget (tests/conftest.py): {line}", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--budget", action="store_true", help="fail if the tests take too long")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--budget") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Budget())


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


pytest_plugins = ["pytester"]

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
