"""What is public stays public, and importing it costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pilotlight

TEXT = Path(__file__).with_name("public_api.txt")
HEAVY = ("litellm", "httpx", "openai", "ollama", "opentelemetry.sdk", "pydantic", "asyncio")


def test_the_names_are_those_of_the_text_file():
    """A change of the public names is made on purpose: change tests/public_api.txt with it."""
    assert pilotlight.__all__ == TEXT.read_text("utf-8").split()


def test_the_names_are_sorted_each_once():
    assert pilotlight.__all__ == sorted(set(pilotlight.__all__))


@pytest.mark.parametrize("name", pilotlight.__all__)
def test_every_name_can_be_imported(name):
    space: dict[str, object] = {}
    exec(f"from pilotlight import {name}", space)
    assert space[name] is getattr(pilotlight, name)
    assert getattr(space[name], "__doc__", None)


def test_dir_shows_every_name():
    assert set(pilotlight.__all__) <= set(dir(pilotlight))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'fallback'"):
        pilotlight.fallback  # noqa: B018


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*(n for n in {HEAVY!r} if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_brings_no_sdk():
    assert loaded_by("import pilotlight") == set()


def test_using_every_name_still_brings_no_sdk():
    code = "import pilotlight\nfor name in pilotlight.__all__: getattr(pilotlight, name)"
    assert loaded_by(code) <= {"pydantic", "asyncio"}


def test_building_a_route_still_brings_no_sdk():
    """httpx and litellm are for the first request."""
    code = "import pilotlight\npilotlight.load({}).adhoc(['openai/gpt-4o', 'ollama/llama3.2'])"
    assert loaded_by(code) & {"litellm", "openai", "opentelemetry.sdk"} == set()
