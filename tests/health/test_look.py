"""`Pilotlight.look` and `.missing_key`: what can be asked of a target without a call."""

from __future__ import annotations

import pytest

import pilotlight
from pilotlight import ConfigError
from pilotlight_chaos import ChaosServer


def test_a_look_tells_and_leaves_the_breaker_alone():
    with ChaosServer(models=["llama3.2"]) as server:
        target = {"model": "ollama/llama3.2", "api_base": server.base("house")}
        app = pilotlight.load({"targets": {"local": target}})
        assert app.look("local").state == "installed"
        assert server.hits() == 0
        server.refuse()
        seen = app.look("local")
    assert (seen.state, app.target("local").health.check) == ("unreachable", seen)
    assert app.target("local").health.breaker.state.name == "closed"


def test_a_missing_key(monkeypatch):
    targets = {"gpt": {"model": "openai/gpt-4o"}, "local": {"model": "ollama/llama3.2"}}
    app = pilotlight.load({"targets": targets})
    assert "OPENAI_API_KEY" in app.missing_key("gpt")
    assert app.missing_key("local") is None
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert pilotlight.load({"targets": targets}).missing_key("gpt") is None


@pytest.mark.parametrize("ask", ["look", "missing_key"])
def test_an_unknown_target(ask):
    with pytest.raises(ConfigError, match="unknown target"):
        getattr(pilotlight.load({}), ask)("nobody")
