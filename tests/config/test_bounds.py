"""A file that is deep, huge or endless, and numbers without end: one line, at any place."""

from __future__ import annotations

import math
import types
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pilotlight import load
from pilotlight.config.lookup import LARGEST
from pilotlight.config.schema import Config, load_config, parse
from pilotlight.config.values import LONGEST
from pilotlight.errors import ConfigError

FILES = {
    "deep arrays": "a = " + "[" * 5000 + "]" * 5000,
    "deep tables": "a = " + "{a = " * 5000 + "1" + "}" * 5000,
    "deep keys": "[" + ".".join(["a"] * 50_000) + "]",
    "huge number": "a = " + "9" * 5000,
    "huge file": "#" * (LARGEST + 1),
    "no TOML": "a = ",
    "no text": b"a = '\xff'",
}


@pytest.mark.parametrize("name", ["pilotlight.toml", "pyproject.toml"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_none_is_one_line(tmp_path, kind, name):
    path, content = tmp_path / name, FILES[kind]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    told = str(caught.value)
    assert told.startswith(str(path))
    assert "\n" not in told
    assert len(told) < 500


@pytest.mark.parametrize("kind", FILES)
def test_somebody_elses_broken_project_is_not_our_business(tmp_path, monkeypatch, kind):
    content = FILES[kind]
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "pyproject.toml").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    assert load().config == Config()


def numbers(model: type[BaseModel], place: tuple[str, ...] = ()):
    """Yield the place of every number that a configuration can have."""
    for name, field in model.model_fields.items():
        yield from _within(field.annotation, (*place, name))


def _within(kind: Any, place: tuple[str, ...]):
    if kind in (int, float):
        yield place
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from numbers(kind, place)
    elif get_origin(kind) in (Union, types.UnionType):
        for each in get_args(kind):
            yield from _within(each, place)
    elif get_origin(kind) is dict and get_args(kind)[1] is not Any:
        yield from _within(get_args(kind)[1], (*place, "x"))
    elif get_origin(kind) is not None and get_origin(kind) is not Literal:
        yield from _within(get_args(kind)[0], place)


PLACES = sorted(set(numbers(Config)))
endless = st.sampled_from([math.nan, math.inf, -math.inf])
huge = st.sampled_from([10**400, 1e308, 1e30, 10**30, "9" * 400 + "h"])


def written(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "targets": {"x": {"model": "ollama/x"}},
        "routes": {"x": {"targets": ["x"]}},
        "receipts": {"path": "x.jsonl"},
    }
    if place[0] == "telemetry":
        whole["telemetry"] = {"service_name": "x"}
    inner = whole
    for key in place[:-1]:
        inner = inner.setdefault(key, {})
    inner[place[-1]] = value
    return whole


def test_there_are_numbers_at_all():
    assert ("targets", "x", "timeout", "total") in PLACES
    assert ("breaker", "window") in PLACES
    assert ("receipts", "max_mb") in PLACES
    assert ("targets", "x", "keep_alive") in PLACES


@given(place=st.sampled_from(PLACES), value=endless)
def test_no_number_is_without_end(place, value):
    with pytest.raises(ConfigError) as caught:
        parse(written(place, value), "here")
    assert ".".join(place) in str(caught.value)


@given(place=st.sampled_from(PLACES), value=huge)
def test_a_huge_number_is_refused_or_of_use(place, value):
    """`keep_alive` is the server's to judge."""
    try:
        parse(written(place, value), "here")
    except ConfigError as error:
        told = str(error)
    else:
        assert place[-1] in ("keep_alive", "time_reserve")
        return
    assert all(len(line) < 250 for line in told.splitlines())


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, {"x": -math.inf}]])
def test_options_that_json_does_not_know(value):
    with pytest.raises(ConfigError, match="options"):
        parse(written(("targets", "x", "options"), {"seed": value}), "here")


def test_the_longest_time_is_of_use():
    assert parse(written(("breaker", "window"), LONGEST), "here").breaker.window == LONGEST
