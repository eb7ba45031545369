"""Reading JSON of which nothing is known yet.

Two kinds of field: what a reader must be able to rely on is *needed*, and of another kind it is
`Unreadable`.  The rest is read as if it were not there when it is of another kind.  What is
null is absent.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pilotlight.dialects.base import Json, Unreadable

MOST: Final = 2**53  # a count beyond what JSON's numbers hold exactly counts nothing
_KINDS: Final = {
    str: "a text", bool: "a boolean", int: "a number", float: "a number", list: "a list",
    dict: "an object", type(None): "null",
}  # fmt: skip


def words(said: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(said.split())


def odd(at: str, value: Any, wanted: str) -> Unreadable:
    """Return the error for a field of another kind than promised."""
    found = _KINDS.get(type(value), "no JSON")
    return Unreadable(f"{at} is {found} in place of {wanted}")


# Needed.


def need_object(value: Any, at: str) -> Json:
    """Return an object; raises Unreadable for anything else."""
    if type(value) is not dict:
        raise odd(at, value, "an object")
    return value


def need_objects(thing: Json, name: str, at: str = "") -> list[Json]:
    """Return a list of objects, empty where it is absent; raises Unreadable."""
    value = thing.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise odd(f"{at}{name}", value, "a list")
    for place, item in enumerate(value):
        if type(item) is not dict:
            raise odd(f"{at}{name}[{place}]", item, "an object")
    return value


def need_text(thing: Json, name: str, at: str = "") -> str:
    """Return a text, "" where it is absent; raises Unreadable."""
    value = thing.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise odd(f"{at}{name}", value, "a text")
    return value


def need_name(thing: Json, name: str, at: str = "") -> str:
    """Return a text that is there and not empty; raises Unreadable."""
    if not (value := need_text(thing, name, at)):
        raise Unreadable(f"{at}{name} is missing")
    return value


def need_part(thing: Json, name: str, at: str = "") -> Json:
    """Return an object, empty where it is absent; raises Unreadable."""
    value = thing.get(name)
    return {} if value is None else need_object(value, f"{at}{name}")


# Optional.


def text(thing: Any, name: str) -> str | None:
    """Return a text."""
    value = thing.get(name) if type(thing) is dict else None
    return value if type(value) is str else None


def count(thing: Any, name: str) -> int | None:
    """Return a whole number that is not negative."""
    value = thing.get(name) if type(thing) is dict else None
    return value if type(value) is int and 0 <= value < MOST else None


def part(thing: Any, name: str) -> Json:
    """Return an object; an empty one for what is none."""
    value = thing.get(name) if type(thing) is dict else None
    return value if type(value) is dict else {}


def objects(thing: Any, name: str) -> list[Json]:
    """Return the objects of a list; what is none of either is left out."""
    value = thing.get(name) if type(thing) is dict else None
    return [item for item in value if type(item) is dict] if type(value) is list else []


def present(**fields: Any) -> Json:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def dumps(value: Any) -> str:
    """Return JSON as a tool's arguments are written: no spaces lost on it, no escapes."""
    return _ENCODER.encode(value)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def loads_object(said: str) -> Json | None:
    """Read a JSON object out of a text; None where it is none."""
    if said.lstrip(" \t\n\r")[:1] != "{":
        return None
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None
