"""What is public stays public, and importing it costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pilotlight

sys.path.append(str(Path(__file__).parent.parent / "tools"))
import public_api  # noqa: E402

HEAVY = ("litellm", "httpx", "openai", "ollama", "opentelemetry.sdk", "pydantic", "asyncio")


def test_the_signatures_are_those_of_the_text_file():
    """A change of what users rely on is made on purpose, and seen in review."""
    written = public_api.TEXT.read_text("utf-8")
    assert public_api.rendered() == written, "run: .venv/bin/python tools/public_api.py"


class Sample:
    """Of each kind of member one."""

    plain = 3

    def __init__(self, size: int = 3) -> None:
        self.size = size

    def method(self, text: str, *, loud: bool = False) -> str: ...

    @classmethod
    def of_class(cls, text: str) -> Sample: ...

    @staticmethod
    def static(text: str) -> None: ...

    @property
    def read(self) -> int: ...

    async def waits(self) -> None: ...


Sample.__module__ = "pilotlight.sample"


def test_a_class_is_written_out_with_all_that_users_see():
    assert list(public_api._of("Sample", Sample)) == [
        "class Sample(size: int = 3)",
        "    def method(text: str, *, loud: bool = False) -> str",
        "    def of_class(text: str) -> Sample",
        "    plain = 3",
        "    read: int",
        "    size",
        "    def static(text: str)",
        "    async def waits()",
    ]


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
