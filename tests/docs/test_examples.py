"""Every example runs, and prints what the pages say it prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FOREIGN
from tests.docs.pages import ROOT, Block, blocks

pytestmark = pytest.mark.processes

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHOWN = [block for block in blocks("text") if block.mark.startswith("output: ")]
LINES = {
    "client.py": [
        'complete:  gpt - This is gpt-4o at cloud. You said: "Who are you?"',
        'stream:    This is gpt-4o at cloud. You said: "Who are you?"',
        "acomplete: gpt",
        "astream:   gpt 49 characters",
        "quota gone: local answers; gpt: quota_exhausted",
    ],
}


# What the log tells of an outage is no complaint; it is kept from stderr.
TOGETHER = """
import contextlib, io, json, logging, os, runpy, sys, traceback
from pilotlight import testing

logging.getLogger("pilotlight").addHandler(logging.NullHandler())
done, environment = {}, dict(os.environ)
for path in sys.argv[1:]:
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            runpy.run_path(path, run_name="__main__")
        except BaseException:
            traceback.print_exc()
    done[path] = [said.getvalue(), complained.getvalue()]
    os.environ.clear()
    os.environ.update(environment)
    testing.reset()
print(json.dumps(done))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, without the keys and addresses of this machine."""
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=env, check=False
    )


@pytest.fixture(scope="module")
def runs():
    """What each example printed, and what it complained of.

    They share one process, for most of their time is the import of litellm.
    """
    done = python("-c", TOGETHER, *map(str, EXAMPLES))
    assert done.returncode == 0, done.stderr
    return {Path(path).name: said for path, said in json.loads(done.stdout).items()}


def test_one_runs_as_a_script():
    done = python(str(ROOT / "examples" / "outage.py"))
    told = [line.partition(" ")[0] for line in done.stderr.splitlines()]
    assert (done.returncode, {*told} - {"failover", "breaker", "back"}) == (0, set())
    assert len(done.stdout.splitlines()) == 9


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_it_runs_and_says_something(example, runs):
    said, complained = runs[example.name]
    assert complained == ""
    assert said.strip()


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_pages_output_has_the_shape_of_the_real_one(block: Block, runs):
    name = Path(block.mark.removeprefix("output: ")).name
    assert shape(block.text) == shape(runs[name][0])


@pytest.mark.parametrize("name", LINES)
def test_it_prints_its_lines(name, runs):
    printed = runs[name][0].splitlines()
    assert [line for line in LINES[name] if line not in printed] == []


def test_every_example_is_held_to_something():
    held = {Path(block.mark).name for block in SHOWN} | set(LINES)
    assert {each.name for each in EXAMPLES} == held


def shape(text: str) -> list[str]:
    """Return the lines with times made alike."""
    return [re.sub(r" +\d+ ms", " N ms", line.rstrip()) for line in text.strip().splitlines()]
