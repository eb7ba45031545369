"""How configuration errors are worded: the key, the value, and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from pilotlight.errors import DOCS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST = 80  # characters of a value that is shown
_CLOCKS = ("first_token", "between_tokens")  # tokens of another kind
_SECRET_WORDS = ("key", "token", "secret", "password", "state")  # a store's address may hold one


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint with the nearest valid name, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""


# What a value of a wrong kind should be, to whoever writes TOML and to whoever writes Python.
_TABLE, _ARRAY = (
    ("should be a table", "should be a dict"),
    ("should be an array", "should be a list"),
)
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _TABLE),
    **dict.fromkeys(("list_type", "tuple_type"), _ARRAY),
}


def explain(
    error: ErrorDetails, data: Mapping[str, Any], model: type[BaseModel], *, toml: bool = False
) -> list[str]:
    """Turn one of pydantic's errors into lines that a person can act on.

    `toml`: it stands in a file, so values and kinds are told as TOML has them.
    """
    place = _written_place(list(error["loc"]), data, error["type"])
    key = ".".join(str(part) for part in place)
    if not key:  # from a validator of the whole: complete lines already
        return str(error["ctx"]["error"]).splitlines() if "ctx" in error else [error["msg"]]
    if error["type"] == "extra_forbidden":
        valid = _valid_keys(model, place[:-1])
        mend = nearest(str(place[-1]), valid) or f"valid keys: {', '.join(valid)}"
        return [f"{key}: unknown key; {mend}"]
    if error["type"] == "missing":
        return [f"{key}: missing; add `{place[-1]} = ...`"]
    if error["type"] == "too_short":
        return [f"{key}: needs at least one entry"]
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    if kinds := _KINDS.get(error["type"]):
        message = kinds[not toml]
    return [f"{key}: {message}{shown(place, data, toml=toml)}"]


def _written_place(loc: list[Any], data: Any, kind: str) -> list[Any]:
    """Return the place as the user wrote it: `timeout`, not the `timeout.total` read from it."""
    for depth, part in enumerate(loc):
        if not isinstance(data, Mapping | list | tuple):
            return loc[:depth]
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return loc
    return loc


def anchor(table: str, key: str) -> str:
    """Return the anchor of a key in the documentation: `targets-model`, `timeout-total`."""
    return f"{table}-{key}" if table else key


def page_of(line: str, tables: Mapping[str, type[BaseModel]]) -> str | None:
    """Return the address of the documentation of the key that a line of an error begins with."""
    table, _, key = line.partition(":")[0].rpartition(".")
    parts = [part for part in table.split(".") if not part.isdigit()]
    for name in (parts[-1], parts[0]) if parts else ():
        if name in tables and key in tables[name].model_fields:
            of = "telemetry" if name == "telemetry" else "configuration"
            return f"{DOCS}{of}/#{anchor(name, key)}"
    return None


def shown(place: Sequence[Any], data: Any, *, toml: bool = False) -> str:
    """Return the value in question, as it was written; never one that may be a secret."""
    for part in place:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return ""
    names = [str(part).lower() for part in place if part not in _CLOCKS]
    secret = any(word in name for name in names for word in _SECRET_WORDS)
    if secret or isinstance(data, Mapping):
        return ""
    return f", got {_short(data, toml)}"


def _short(value: Any, toml: bool) -> str:
    """Return the value as it is written, but one line of it."""
    try:
        told = _in_toml(value) if toml else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, for instance
        return f"a {type(value).__name__} that is too large to show"
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."


def _in_toml(value: Any) -> str:
    """Return a value as TOML has it; a text in single quotes is one in both languages."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_in_toml, value))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_in_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def _valid_keys(model: type[BaseModel], place: list[Any]) -> list[str]:
    """Return the keys that the table at a place may have."""
    table: Any = model
    for part in place:
        if isinstance(table, type) and issubclass(table, BaseModel):
            table = table.model_fields[part].annotation
        else:  # dict[str, Table]: the part is a name of the user's
            table = get_args(table)[-1]
    if not (isinstance(table, type) and issubclass(table, BaseModel)):
        table = next(each for each in reversed(get_args(table)) if each is not type(None))
    return sorted(table.model_fields)
