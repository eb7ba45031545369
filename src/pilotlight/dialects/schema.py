"""JSON schemas cut down to what an API takes; what is cut is named and said in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses
from pilotlight.dialects.fields import dumps

_MAPS: Final = ("properties", "$defs", "definitions")  # of a name to a schema
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS: Final = ("items", "additionalProperties")


def narrowed(
    schema: Json, knows: Callable[[str], bool], losses: Losses, *, closed: bool = False
) -> Json:
    """Return a schema of the keywords that an API knows.

    A keyword that it does not know becomes a note in the description, and a loss
    (`schema:minLength`).  `oneOf` becomes `anyOf`, `const` an `enum`, and an `allOf` of one is
    opened.  Where `closed`, every object is told to have no other properties, as the API insists.
    """
    if type(only := schema.get("allOf")) is list and len(only) == 1 and type(only[0]) is dict:
        schema = {**only[0], **{name: value for name, value in schema.items() if name != "allOf"}}
    found: Json = {}
    notes: list[str] = []
    for name, value in schema.items():
        if name == "oneOf":
            found["anyOf"] = _inside("anyOf", value, knows, losses, closed)
        elif name == "const" and not knows(name):
            found["enum"] = [value]
        elif knows(name):
            found[name] = _inside(name, value, knows, losses, closed)
        elif not _is_idle(name, value):
            losses.add(f"schema:{name}")
            notes.append(f"{name}: {dumps(value)}")
    if notes:
        said = [each] if type(each := schema.get("description")) is str and each else []
        found["description"] = " ".join([*said, f"({'; '.join(notes)})"])
    if closed and found.get("type") == "object":
        found["additionalProperties"] = False
    return found


# They say nothing about the value, or nothing at all.
_COMMENTS: Final = ("$schema", "$id", "$comment", "title", "examples", "default", "deprecated")


def _is_idle(name: str, value: Any) -> bool:
    return name in _COMMENTS or value is None or value is False


def _inside(
    name: str, value: Any, knows: Callable[[str], bool], losses: Losses, closed: bool
) -> Any:
    def of(inner: Any) -> Any:
        if type(inner) is not dict:
            return inner
        return narrowed(inner, knows, losses, closed=closed)

    if name in _MAPS and type(value) is dict:
        return {key: of(inner) for key, inner in value.items()}
    if name in _LISTS and type(value) is list:
        return [of(inner) for inner in value]
    return of(value) if name in _SCHEMAS else value
