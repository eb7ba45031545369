"""The setting `state`: what it may be, and that its secrets stay where they are."""

from __future__ import annotations

import pytest

import pilotlight
from pilotlight.config.schema import Config, load_config
from pilotlight.registry import Endpoint
from pilotlight.state.url import StateUrl, open_board, parse_state


def test_by_default_nothing_is_shared():
    assert Config().state == StateUrl()
    assert not Config().state.shared
    app = pilotlight.load({"targets": {"gpt": {"model": "openai/gpt-4o"}}})
    assert app.target("gpt").health.attend is None
    assert app.target("gpt").health.breaker.gate is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("redis://cache", "redis://cache:6379"),
        ("redis://user:hunter2@cache:7000/3", "redis://cache:7000/3"),
        ("rediss://:hunter2@cache/0?password=hunter2", "rediss://cache:6379/0"),
        ("unix:///run/redis.sock?password=hunter2", "unix:///run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_its_secrets(given, shown, monkeypatch):
    monkeypatch.setattr("pilotlight.extras.installed", lambda name: True)
    url = parse_state(given)
    assert (url.kind, url.place, str(url)) == ("redis", given, shown)
    config = Config(state=given)
    for told in (repr(url), repr(config), str(config), str(url), config.model_dump_json()):
        assert "hunter2" not in told


def test_a_file_from_here_and_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_state("sqlite:///board.db").place == str(tmp_path / "board.db")
    assert parse_state(f"sqlite:///{tmp_path}/board.db").place == str(tmp_path / "board.db")


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        ("postgres://hunter2@db", "redis://"),
        ("redis://", "unknown kind"),
        ("redis://:hunter2@cache:port", "not an address"),
        ("redis//:hunter2@cache", "unknown kind"),
        ("sqlite://board.db", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///pilotlight.toml", "ends in .db"),
        ("sqlite:///no/such/folder/board.db", "no such folder"),
        ("", "memory"),
        (7, "a string"),
    ],
)
def test_what_is_wrong_is_said_with_the_mend_and_without_secrets(given, mend, monkeypatch):
    monkeypatch.setattr("pilotlight.extras.installed", lambda name: True)
    with pytest.raises(pilotlight.ConfigError) as raised:
        load_config({"state": given})
    told = str(raised.value)
    assert "state" in told
    assert mend in told
    assert "hunter2" not in told


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("pilotlight.extras.installed", lambda name: False)
    with pytest.raises(pilotlight.ConfigError, match=r"pilotlight\[redis\]"):
        load_config({"state": "redis://cache"})


def test_a_board_is_opened_by_its_kind(tmp_path):
    assert type(open_board(StateUrl())).__name__ == "MemoryBoard"
    url = parse_state(f"sqlite:///{tmp_path}/board.db")
    assert type(open_board(url)).__name__ == "SqliteBoard"
    assert list(tmp_path.iterdir()) == []


def test_an_endpoints_name_on_the_board_is_equal_everywhere_and_tells_nothing(clock):
    def key(base="https://user-token.example/v1", model="openai/gpt-4o", secret="sk-1"):
        return Endpoint.of(base, model, secret, clock).board_key

    assert key() == key()
    assert len({key(), key(base="https://b"), key(model="openai/o3"), key(secret="sk-2")}) == 4
    assert key().isalnum()
    assert key(secret=None) == key(secret=None)
    one = Endpoint.of("https://user-token.example/v1", "openai/gpt-4o", "sk-1", clock)
    assert one.credential not in one.board_key


def test_a_loopback_address_is_another_server_on_each_host(clock, monkeypatch):
    def keys():
        bases = ("http://127.0.0.1:11434", "http://localhost:11434", "http://gpu:11434")
        return [Endpoint.of(base, "ollama/llama3.2", None, clock).board_key for base in bases]

    here = keys()
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    there = keys()
    assert [a == b for a, b in zip(here, there, strict=True)] == [False, False, True]
