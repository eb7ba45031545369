"""A configuration that nobody has named is used only if nobody else can have written it."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from pathlib import Path

import pytest

import pilotlight
from pilotlight import files
from pilotlight.config import lookup
from pilotlight.config.lookup import find_config, search_config
from pilotlight.errors import ConfigError
from pilotlight.files import distrust, make_folder

TOML = '[targets.a]\nmodel = "ollama/a"\n'
STRANGER = 65534

# What a place on the way to a file can be: mode, whether a stranger's, and whether it is trusted.
FOLDERS = {
    "ours": (0o755, False, True),
    "everybody's": (0o777, False, False),
    "sticky, as /tmp": (0o1777, False, True),
    "a stranger's": (0o755, True, False),
    "a stranger's sticky one": (0o1777, True, False),
}
FILES = {
    "ours": (0o644, False, True),
    "everybody's": (0o666, False, False),
    "a stranger's": (0o644, True, False),
    "a stranger's, and everybody's": (0o666, True, False),
}
LINKS = {"no link": None, "our link": False, "a stranger's link": True}


def make(place: Path, mode: int, strangers: bool) -> None:
    place.chmod(mode)
    if strangers:
        give_away(place)


def give_away(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("to give a file away takes root")
    os.lchown(place, STRANGER, STRANGER)


@pytest.fixture
def top(tmp_path, monkeypatch):
    lookup._said.clear()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(("above", "folder"), list(itertools.product(FOLDERS, FOLDERS)))
def test_every_place_on_the_way_counts(top, monkeypatch, caplog, above, folder, file, link):
    name = "pyproject.toml" if above == folder else "pilotlight.toml"
    place = top / "above" / "folder"
    here = place / "work"
    here.mkdir(parents=True)
    real = place / (name if LINKS[link] is None else "real.toml")
    real.write_text(TOML if name == "pilotlight.toml" else TOML.replace("[t", "[tool.pilotlight.t"))
    found = place / name
    if LINKS[link] is not None:
        found.symlink_to(real)
        if LINKS[link]:
            give_away(found)
    make(real, *FILES[file][:2])
    make(place, *FOLDERS[folder][:2])
    make(place.parent, *FOLDERS[above][:2])
    monkeypatch.chdir(here)
    trusted = FILES[file][2] and FOLDERS[folder][2] and FOLDERS[above][2] and not LINKS[link]
    with caplog.at_level(logging.WARNING):
        app = pilotlight.load()
        pilotlight.load()
    assert list(app.targets) == (["a"] if trusted else [])
    assert app.path == (found if trusted else None)
    assert len(caplog.records) == (0 if trusted else 1), "said once"
    if not trusted:
        assert str(found) in caplog.text
        assert "PILOTLIGHT_CONFIG" in caplog.text
    monkeypatch.setenv("PILOTLIGHT_CONFIG", str(found))
    assert list(pilotlight.load().targets) == ["a"], "who names it has it"
    assert list(pilotlight.load(found).targets) == ["a"]


def test_the_folder_of_a_links_end_counts_as_well(top):
    elsewhere = top / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.toml").write_text(TOML)
    (top / "pilotlight.toml").symlink_to("elsewhere/../elsewhere/real.toml")
    assert find_config() == top / "pilotlight.toml"
    elsewhere.chmod(0o777)
    assert find_config() is None


def test_a_link_in_a_circle_is_no_configuration(top):
    (top / "pilotlight.toml").symlink_to("pilotlight.toml")
    assert distrust(top / "pilotlight.toml") is not None
    assert find_config() is None


def test_one_that_is_passed_over_does_not_hide_the_one_above(top, monkeypatch):
    (top / "pilotlight.toml").write_text(TOML)
    inner = top / "inner"
    inner.mkdir()
    (inner / "pilotlight.toml").write_text(TOML)
    (inner / "pilotlight.toml").chmod(0o666)
    monkeypatch.chdir(inner)
    found = search_config()
    assert found.path == top / "pilotlight.toml"
    ((passed_over, why),) = found.passed_over
    assert passed_over == inner / "pilotlight.toml"
    assert f"chmod go-w {passed_over}" in why


@pytest.mark.parametrize("own", [True, False])
def test_the_group_is_nobody_else_only_where_it_is_our_own(top, monkeypatch, own):
    monkeypatch.setattr(files, "_is_own", lambda group, user: own)
    file = top / "pilotlight.toml"
    file.write_text(TOML)
    file.chmod(0o664)
    assert (distrust(file) is None) == own


def test_a_group_of_another_name_or_with_members_is_others(monkeypatch):
    import grp
    import pwd

    me = pwd.getpwuid(os.geteuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda user: me)
    for name, members, own in [
        (me.pw_name, [], True),
        (me.pw_name, [me.pw_name], True),
        (me.pw_name, ["mallory"], False),
        ("staff", [], False),
    ]:
        group = grp.struct_group((name, "x", me.pw_gid, members))
        monkeypatch.setattr(grp, "getgrgid", lambda number, group=group: group)
        assert files._is_own.__wrapped__(me.pw_gid, me.pw_uid) == own


def test_where_nobody_listens_to_the_log_it_is_said_all_the_same(top, monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    (top / "pilotlight.toml").write_text(TOML)
    (top / "pilotlight.toml").chmod(0o666)
    find_config()
    assert "pilotlight.toml is not used: others may write" in capsys.readouterr().err


def test_without_owners_everything_is_ours(top, monkeypatch):
    (top / "pilotlight.toml").write_text(TOML)
    (top / "pilotlight.toml").chmod(0o666)
    monkeypatch.delattr(os, "geteuid")  # as on Windows
    assert find_config() == top / "pilotlight.toml"


# What a file that was named may not do.


SENSITIVE = ['sensitive = "evil:f"\n', '[routes.chat]\ntargets = ["a"]\nsensitive = "evil:f"\n']


@pytest.fixture
def evil(top, monkeypatch):
    (top / "mods").mkdir()
    (top / "mods" / "evil.py").write_text("def f(messages):\n    return None\n")
    monkeypatch.syspath_prepend(str(top / "mods"))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    yield
    sys.modules.pop("evil", None)


@pytest.mark.parametrize("text", [SENSITIVE[0] + TOML, TOML + SENSITIVE[1]])
@pytest.mark.parametrize("named", ["argument", "environment"])
def test_code_is_imported_from_a_trusted_file_only(top, evil, monkeypatch, text, named):
    file = top / "pilotlight.toml"
    file.write_text(text)
    file.chmod(0o666)
    if named == "environment":
        monkeypatch.setenv("PILOTLIGHT_CONFIG", str(file))
    with pytest.raises(ConfigError, match=rf"sensitive: .*chmod go-w {file}"):
        pilotlight.load(file if named == "argument" else None)
    assert "evil" not in sys.modules
    file.chmod(0o644)
    pilotlight.load(file if named == "argument" else None)
    assert "evil" in sys.modules


# Folders.


def test_no_folder_to_be_in_means_no_configuration(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert find_config() is None
    assert pilotlight.load().path is None


def test_folders_that_are_made_are_the_owners_alone(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert [each.stat().st_mode & 0o777 for each in (tmp_path / "a", tmp_path / "a" / "b")] == [
        0o700,
        0o700,
    ]


@pytest.mark.parametrize("text", [f"a = {'[' * 5000}{']' * 5000}", "#" * 1_100_000])
def test_a_strangers_pyproject_can_not_stop_us(top, text):
    (top / "pyproject.toml").write_text(text)
    assert find_config() is None


def test_deep_toml_is_one_line(top):
    (top / "pilotlight.toml").write_text(f"a = {'[' * 5000}{']' * 5000}")
    with pytest.raises(ConfigError, match="nested too deeply"):
        pilotlight.load()
