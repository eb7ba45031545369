"""Keys: how they are kept, found, and changed under a gateway that runs."""

from __future__ import annotations

import json
import stat
import threading

import pytest

from pilotlight.doors.gateway import keys as keys_module
from pilotlight.doors.gateway.keys import (
    Key,
    KeyRing,
    add_key,
    digest,
    keys_path,
    read_keys,
    remove_key,
)
from pilotlight.errors import ConfigError

ROUTES = ("chat", "embed")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def test_a_key_is_kept_as_a_hash_for_its_owner_alone(path):
    secret = add_key(path, "ci", Key(routes=("chat",), private=True), ROUTES)
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    name, key = KeyRing(path).find(secret)
    assert (name, key.routes, key.private, key.operator) == ("ci", ("chat",), True, False)
    assert KeyRing(path).find(secret + "x") is None
    assert KeyRing(path).find("") is None
    assert KeyRing(path).find("\udc80") is None


def test_a_hash_is_no_key(path):
    secret = add_key(path, "ci", Key(), ROUTES)
    assert KeyRing(path).find(digest(secret)) is None


def test_names_and_routes_are_checked(path):
    add_key(path, "ci", Key(), ROUTES)
    with pytest.raises(ConfigError, match="already"):
        add_key(path, "ci", Key(), ROUTES)
    with pytest.raises(ConfigError, match="did you mean 'chat'"):
        add_key(path, "x", Key(routes=("chta",)), ROUTES)
    with pytest.raises(ConfigError, match="did you mean 'ci'"):
        remove_key(path, "cj")
    remove_key(path, "ci")
    assert read_keys(path) == {}


def test_keys_that_are_made_at_once_are_all_there(path):
    threads = [
        threading.Thread(target=add_key, args=(path, f"k{n}", Key(), ROUTES)) for n in range(12)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(read_keys(path)) == 12


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "EOF"),
        ("[]", "object"),
        ('{"ci": {"sha256": "short"}}', "ci.sha256"),
        ('{"ci": {"shaa": 1}}', "ci.shaa"),
        ('{"a b": {}}', "a b"),
        ('{"ci": {"per_minute": 0}}', "ci.per_minute"),
    ],
)
def test_a_file_that_can_not_be_used_is_told(path, text, told):
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=f"keys.json.*{told}"):
        read_keys(path)


def test_a_file_that_others_may_read_is_not_used(path):
    add_key(path, "ci", Key(), ROUTES)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyRing(path)


def test_a_link_is_not_written_through(tmp_path, path):
    other = tmp_path / "other.json"
    add_key(other, "ci", Key(), ROUTES)
    path.symlink_to(other)
    with pytest.raises(ConfigError, match="symbolic link"):
        add_key(path, "new", Key(), ROUTES)
    assert set(read_keys(other)) == {"ci"}


def test_a_gateway_that_runs_hears_of_changes_and_keeps_what_it_had(path, monkeypatch, caplog):
    monkeypatch.setattr(keys_module, "LOOK", 0.0)
    first = add_key(path, "ci", Key(), ROUTES)
    ring = KeyRing(path)
    second = add_key(path, "more", Key(), ROUTES)
    assert ring.find(second) is not None
    remove_key(path, "ci")
    assert ring.find(first) is None
    path.write_text("{")
    for _ in range(3):
        assert ring.find(second) is not None, "a broken file takes no key away"
    assert caplog.text.count("the keys stay as they were") == 1
    path.unlink()
    assert ring.find(second) is not None


def test_which_file_is_in_use(tmp_path):
    assert keys_path(None, tmp_path) is None
    assert keys_path("mine.json", tmp_path) == tmp_path / "mine.json"
    usual = tmp_path / keys_module.FILE
    usual.write_text(json.dumps({}))
    assert keys_path(None, tmp_path) == usual
