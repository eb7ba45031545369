"""What frameworks give in place of JSON's own types is sent as what it stands for.

smolagents names roles by an enum, others hand on their own dicts and numbers.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import pytest
from test_native import ASKED, MODELS, serving

from pilotlight import Pilotlight, Route
from pilotlight.config.schema import parse
from pilotlight.registry import Registry
from tests.providers.loopback import Loopback, said


class Text(str):
    """As an enum's member that is a text says itself: not by its value."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not what is meant"

    __repr__ = __str__


class Whole(int):
    def __repr__(self) -> str:
        return "not what is meant"


class Broken(float):
    def __repr__(self) -> str:
        return "not what is meant"


class Several(list[Any]):
    """A library's own list."""


def member(value: str) -> Any:
    return enum.Enum("Said", {"IT": value}, type=str)["IT"]  # type: ignore[misc]


def number(value: int) -> Any:
    return enum.IntEnum("Number", {"IT": value})["IT"]


WAYS: Final[Mapping[str, Mapping[type, Any]]] = {
    "enums": {str: member, int: number},
    "subclasses": {str: Text, int: Whole, float: Broken, list: Several, dict: OrderedDict},
    "read only": {list: tuple, dict: MappingProxyType},
}


def twin(value: Any, way: Mapping[type, Any]) -> Any:
    """Return the same JSON, of other types."""
    kind = type(value)
    if kind is dict:
        value = {name: twin(each, way) for name, each in value.items()}
    elif kind is list:
        value = [twin(each, way) for each in value]
    return way.get(kind, lambda same: same)(value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*MODELS, "ollama"])
@pytest.mark.parametrize("number", range(len(ASKED)))
def test_a_call_of_other_types_is_the_same_call(name: str, number: int, way: str):
    messages, options = ASKED[number]
    with serving_any(name) as (server, route):
        answers = []
        for how in ({}, WAYS[way]):
            given = {key: twin(value, how) for key, value in options.items()}
            said_of = [twin(each, how) for each in messages]
            try:
                answers.append(route.complete(said_of, **given).text)
            except Exception as error:  # Ollama refuses a file, say: both ways alike
                answers.append(f"{type(error).__name__}: {error}")
        sent = [body for path, body in server.asked if not path.startswith("/api/show")]
    assert answers[0] == answers[1]
    assert sent[: len(sent) // 2] == sent[len(sent) // 2 :]


def serving_any(name: str) -> Any:
    return serving_ollama() if name == "ollama" else serving(name)


@contextmanager
def serving_ollama() -> Iterator[tuple[Loopback, Route]]:
    def say(path: str, body: bytes) -> bytes:
        message = {"role": "assistant", "content": "hi"}
        return said({"model": "m", "message": message, "done": True, "done_reason": "stop"})

    with Loopback(say) as server:
        data = {
            "targets": {"t": {"model": "ollama/m", "api_base": server.url}},
            "routes": {"r": {"targets": ["t"], "gather": "never"}},
        }
        with Pilotlight(parse(data, "test"), registry=Registry()) as app:
            yield server, app.route("r")
