"""The pytest plugin: `--llm-record` keeps what the providers say, `--llm-replay` says it again.

Without one of them it does nothing, and imports nothing of pilotlight's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("pilotlight")
    group.addoption(
        "--llm-record",
        action="store_true",
        help="ask the providers for real, and keep what they say in cassettes/ beside the tests",
    )
    group.addoption(
        "--llm-replay",
        action="store_true",
        help="answer out of cassettes/: no network and no key; an unknown request fails its test",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse both of them at once."""
    if config.getoption("--llm-record") and config.getoption("--llm-replay"):
        raise pytest.UsageError("--llm-record and --llm-replay: give one of them")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its cassette, before the fixtures of its own that make clients."""
    if not (config.getoption("--llm-record") or config.getoption("--llm-replay")):
        return
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        names.insert(0, "llm_cassette")


@pytest.fixture
def llm_cassette(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The answers of one test: kept with `--llm-record`, said again with `--llm-replay`."""
    record = request.config.getoption("--llm-record")
    from pilotlight import testing
    from pilotlight.playing.cassette import Recording, Replaying, path_for
    from pilotlight.playing.server import playing

    path = path_for(request.path.parent, request.path.stem, request.node.name)
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")  # what is asked in passing is not recorded
    testing.reset()
    if record:
        recording = Recording()
        with playing(recording):
            yield
        recording.write(path)
        return
    replaying = Replaying(path)
    with playing(replaying):
        yield
    if replaying.missed:
        pytest.fail("; ".join([*replaying.missed, "record it by pytest --llm-record"]))
