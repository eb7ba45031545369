"""What a rule is, and how rules look at a request of which nothing is known yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from ..dialects.base import dicts
from ..http import Json


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a request breaks, in the API's own words."""

    message: str
    param: str | None = None  # the place, where the API names it beside its words
    code: str | None = None
    status: int = 400


@dataclass(frozen=True, slots=True)
class Posted:
    """A request: its body, and the model that it asks for."""

    body: Json
    model: str


Check: TypeAlias = Callable[[Posted], Iterable[Broken]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that an API refuses: in plain words, where that is known from, and the check."""

    what: str
    source: str
    check: Check


def first(rules: Sequence[Rule], posted: Posted) -> Broken | None:
    """Return the first break of the first rule that is broken."""
    return next((broken for rule in rules for broken in rule.check(posted)), None)


def text(thing: Json, name: str) -> str:
    """Return a text, "" for what is none."""
    value = thing.get(name)
    return value if isinstance(value, str) else ""


def among(thing: Json, name: str) -> list[tuple[int, Json]]:
    """Return the objects of a list with their places."""
    value = thing.get(name)
    found = value if isinstance(value, list) else []
    return [(place, each) for place, each in enumerate(found) if isinstance(each, dict)]


def words(said: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(said.split())


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def sub_schemas(schema: Any, at: str = "") -> Iterator[tuple[str, Json]]:
    """Yield a schema and all within it, each with its path."""
    if not isinstance(schema, dict):
        return
    yield at, schema
    for name in ("properties", "$defs", "definitions"):
        inner = schema.get(name)
        for key, each in inner.items() if isinstance(inner, dict) else ():
            yield from sub_schemas(each, f"{at}.{name}.{key}")
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for place, each in enumerate(dicts(schema.get(name))):
            yield from sub_schemas(each, f"{at}.{name}.{place}")
    yield from sub_schemas(schema.get("items"), f"{at}.items")


BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def is_base64(value: str) -> bool:
    return len(value) % 4 == 0 and BASE64.fullmatch(value) is not None
