"""The pytest plugin: outages for an application's own tests.

Silent unless it is used: nothing is started, and nothing but pytest is imported, until a test asks
for the fixture `llm_chaos` or has the mark `llm_outage`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .pytest_fixture import LlmChaos

MARK = "llm_outage(provider, kind='server_error', **params): a model provider is down in this test"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("llm_chaos_models", "the models of the Ollama that llm_chaos plays", "args")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests the fixture, before the fixtures of their own that make clients."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if item.get_closest_marker("llm_outage") and "llm_chaos" not in names:
            names.insert(0, "llm_chaos")


@pytest.fixture
def llm_chaos(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LlmChaos]:
    """Model providers on loopback that break on demand, found by the SDKs' own variables."""
    from .pytest_fixture import playing

    models: list[str] = request.config.getini("llm_chaos_models")
    with playing(models, monkeypatch) as chaos:
        for mark in request.node.iter_markers("llm_outage"):
            chaos.outage(*mark.args, **mark.kwargs)
        yield chaos
