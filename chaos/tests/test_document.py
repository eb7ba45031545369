"""An experiment's file that is huge, deep, endless, or wants more than to play outages."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight_chaos.cli import main
from pilotlight_chaos.commands import command
from pilotlight_chaos.lab import runner
from pilotlight_chaos.lab.document import LARGEST, ExperimentError, read

ODD = "\n".join(
    ["a: &a [x,x,x,x,x,x,x,x]"]
    + [
        f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]"
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    ]
)
FILES = {
    "huge": "title: " + "x" * LARGEST,
    "deep": "a: " + "[" * 3000 + "]" * 3000,
    "many from few": ODD,
    "a number": "3",
    "nothing": "",
    "no yaml": "a: [",
    "tag": "!!python/object/apply:os.system ['true']",
}


def of(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("kind", FILES)
def test_one_line_names_the_file(tmp_path, kind):
    path = of(tmp_path, FILES[kind])
    done = CliRunner().invoke(command, ["run", str(path)])
    assert done.exit_code == 1
    assert str(path) in done.output
    assert len(done.output.strip().splitlines()) <= 3, done.output
    assert len(done.output) < 1000


def packaged() -> dict:
    return runner.packaged()[0].load()


def places(value, place=()):
    """Yield the place of each leaf."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else None
    )
    if items is None:
        yield place
        return
    for key, inner in items:
        yield from places(inner, (*place, key))


PLACES = list(places(packaged()))
odd = st.sampled_from([None, [], {}, [[]], "x", -1, 10**400, True]) | st.floats(allow_nan=True)


@settings(deadline=None)
@given(place=st.sampled_from(PLACES), value=odd)
def test_any_value_at_any_place_is_an_experiment_or_one_line(tmp_path_factory, place, value):
    experiment = packaged()
    inner = experiment
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path = of(tmp_path_factory.getbasetemp(), json.dumps(experiment), "odd.json")
    told = ""
    try:
        read(path)
    except ExperimentError as error:
        told = str(error)
    assert "\n" not in told
    assert not told or str(path) in told
    if isinstance(value, float) and not math.isfinite(value):
        assert told


@pytest.mark.parametrize("part", ["method", "rollbacks", "probes", "controls", "configuration"])
@pytest.mark.parametrize(
    "provider",
    [
        {"type": "process", "path": "touch", "arguments": ["pwned"]},
        {"type": "http", "url": "http://127.0.0.1:9/"},
        {"type": "python", "module": "os", "func": "system", "arguments": {"command": "true"}},
        {"type": "python", "module": "pilotlight_chaos.lab.restart", "func": "run_worker"},
        {"type": "python"},
        "process",
        None,
    ],
)
def test_what_is_not_of_ours_is_not_run(tmp_path, part, provider):
    experiment = packaged()
    activity = {"name": "evil", "type": "action", "provider": provider}
    if part == "configuration":
        experiment["configuration"]["x"] = activity | {"type": "probe"}
    elif part == "probes":
        experiment["steady-state-hypothesis"]["probes"][0]["provider"] = provider
    else:
        experiment[part].append(activity)
    with pytest.raises(ExperimentError, match="names more than"):
        read(of(tmp_path, json.dumps(experiment), "mine.json"))


@pytest.mark.parametrize("option", ["--latency", "--token-latency"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-1", "soon"])
def test_the_servers_own_numbers(capsys, option, value):
    with pytest.raises(SystemExit) as caught:
        main(["serve", f"{option}={value}"])
    assert caught.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert f"{option}: {value!r} is no finite number of seconds" in told[-1]
