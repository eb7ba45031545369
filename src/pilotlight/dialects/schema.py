"""JSON schemas cut down to what an API takes; what is cut is named and said in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses
from pilotlight.dialects.fields import dumps


def is_closed(schema: Any) -> bool:
    """Tell whether OpenAI would hold an answer strictly to a schema.

    It wants every object closed, and all that it has required; other APIs that constrain answers
    do not.  Source: OpenAI's guide to structured outputs, "supported schemas".
    """
    if type(schema) is not dict:
        return True
    if schema.get("type") == "object":
        required, properties = schema.get("required"), schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or type(properties) is not dict:
            return False
        if not properties.keys() <= set(required if type(required) is list else ()):
            return False
    return all(map(is_closed, _within(schema)))


def _within(schema: Json) -> list[Any]:
    found: list[Any] = [schema.get("items")]
    for name in _MAPS:
        found += value.values() if type(value := schema.get(name)) is dict else ()
    for name in _LISTS:
        found += value if type(value := schema.get(name)) is list else ()
    return found


_MAPS: Final = ("properties", "$defs", "definitions")  # of a name to a schema
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_NESTED: Final = (dict, list)
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
            found[name] = (
                value if type(value) not in _NESTED else _inside(name, value, knows, losses, closed)
            )
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


def objects_only(schema: Json) -> Json:
    """Return the parameters of a tool in the words that Ollama's structs hold.

    There the whole has one type, and a property is an object, where JSON Schema also has `true`.
    The same object where nothing had to be changed.  Source: ollama/ollama#18051.
    """
    found = _plain_properties(schema)
    return found if type(found.get("type", "")) is str else {**found, "type": "object"}


def _plain_properties(schema: Json) -> Json:
    found = schema
    if type(properties := schema.get("properties")) is dict:
        plain = {
            name: _plain_properties(each) if type(each) is dict else {}
            for name, each in properties.items()
        }
        if any(plain[name] is not each for name, each in properties.items()):
            found = {**schema, "properties": plain}
    elif properties is not None:
        found = {name: value for name, value in schema.items() if name != "properties"}
    if found.get("required") is not None and type(found["required"]) is not list:
        found = {name: value for name, value in found.items() if name != "required"}
    return found
