"""`pilotlight keys`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pilotlight.doors.gateway.keys import FILE, KeyRing


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pilotlight.toml"
    path.write_text('[targets.l]\nmodel = "ollama/llama3.2"\n[routes.chat]\ntargets = ["l"]\n')
    return path


def keys(path, *line: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pilotlight", "--config", str(path), "keys", *line]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_keys_life(path):
    added = keys(
        path, "add", "ci", "--route", "chat", "--private", "--priority", "low", "--per-minute", "60"
    )
    assert added.returncode == 0, added.stderr
    secret = added.stdout.strip()
    name, key = KeyRing(path.parent / FILE).find(secret)
    assert (name, key.routes, key.private, key.priority, key.per_minute) == (
        "ci",
        ("chat",),
        True,
        "low",
        60,
    )
    listed = keys(path, "list")
    for word in ("ci", "chat", "yes", "low", "60"):
        assert word in listed.stdout
    assert secret not in listed.stdout
    assert keys(path, "remove", "ci").returncode == 0
    assert "no keys in" in keys(path, "list").stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("add", "ci", "--route", "chta"), "did you mean 'chat'?"),
        (("add", "a b"), "letters, digits"),
        (("add", "x" * 65), "letters, digits"),
        (("remove", "nobody"), "there is no key 'nobody'"),
        (("add", "ci", "--per-minute", "0"), "per-minute"),
    ],
)
def test_a_mistake_is_told_with_its_mend(path, line, told):
    ended = keys(path, *line)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert not (path.parent / FILE).exists() or "nobody" in told
