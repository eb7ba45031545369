"""What both of OpenAI's APIs refuse, in the words that they share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..http import Json, Reply
from ..wording import openai as wording
from .rule import Broken, is_number, sub_schemas

NAME = re.compile(r"[a-zA-Z0-9_-]+")
MOST_NAME = 64
REASONS = re.compile(r"^(?:o\d|gpt-5(?!\.?\d*-chat)|gpt-[6-9]|codex)")
PLAIN = re.compile(r"^(?:gpt-[34]|chatgpt)")
_KINDS = {
    str: "a string", dict: "an object", list: "an array", type(None): "null", bool: "a boolean",
    int: "an integer", float: "a decimal",
}  # fmt: skip


def reply(broken: Broken) -> Reply:
    return wording.error(broken.status, broken.message, wording.INVALID, broken.code, broken.param)


def unknown(name: str) -> Broken:
    return Broken(f"Unknown parameter: '{name}'.", name, "unknown_parameter")


def missing(name: str) -> Broken:
    return Broken(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def odd(at: str, value: Any, wanted: str) -> Broken:
    found = _KINDS.get(type(value), "something else")
    message = f"Invalid type for '{at}': expected {wanted}, but got {found} instead."
    return Broken(message, at, "invalid_type")


def value_of(at: str, value: Any, allowed: list[str]) -> Broken:
    known = ", ".join(map(repr, allowed))
    message = f"Invalid value: '{str(value)[:40]}'. Supported values are: {known}."
    return Broken(message, at, "invalid_value")


def too_long(at: str, value: str, most: int) -> Broken:
    message = (
        f"Invalid '{at}': string too long. Expected a string with maximum length {most}, but got "
        f"a string with length {len(value)} instead."
    )
    return Broken(message, at, "string_above_max_length")


def empty(at: str) -> Broken:
    message = (
        f"Invalid '{at}': empty array. Expected an array with minimum length 1, but got an empty "
        "array instead."
    )
    return Broken(message, at, "empty_array")


def too_many(at: str, count: int, most: int) -> Broken:
    message = (
        f"Invalid '{at}': array too long. Expected an array with maximum length {most}, but got an "
        f"array with length {count} instead."
    )
    return Broken(message, at, "array_above_max_length")


def name_of(at: str, name: str) -> Iterator[Broken]:
    """Check the name of a function, or of a schema."""
    if len(name) > MOST_NAME:
        yield too_long(at, name, MOST_NAME)
    elif not NAME.fullmatch(name):
        message = (
            f"Invalid '{at}': string does not match pattern. Expected a string that matches the "
            "pattern '^[a-zA-Z0-9_-]+$'."
        )
        yield Broken(message, at, "invalid_value")


def id_of(at: str, value: Any, most: int) -> Iterator[Broken]:
    """Check the id of a call."""
    if not isinstance(value, str):
        yield odd(at, value, "a string")
    elif not value:
        message = (
            f"Invalid '{at}': empty string. Expected a string with minimum length 1, but got an "
            "empty string instead."
        )
        yield Broken(message, at, "empty_string")
    elif len(value) > most:
        yield too_long(at, value, most)


def strict_schema(at: str, what: str, schema: Any) -> Iterator[Broken]:
    """Check a schema that the answer is held to: closed, and with every property required."""
    for path, each in sub_schemas(schema):
        if each.get("type") != "object":
            continue
        context = f"In context=({path.strip('.')!r}), "
        if each.get("additionalProperties") is not False:
            told = "'additionalProperties' is required to be supplied and to be false."
            yield Broken(
                f"Invalid schema for {what}: {context}{told}", at, "invalid_function_parameters"
            )
        properties = each.get("properties")
        required = each.get("required") or []
        for name in properties if isinstance(properties, dict) else ():
            if name not in required:
                told = (
                    "'required' is required to be supplied and to be an array including every key "
                    f"in properties. Missing '{name}'."
                )
                yield Broken(
                    f"Invalid schema for {what}: {context}{told}", at, "invalid_function_parameters"
                )


def sampling(body: Json, model: str, *names: str) -> Iterator[Broken]:
    """Check numbers: their range, and that a model that reasons is not told how to sample."""
    limits = {"temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2}
    for name in names:
        value, most = body.get(name), limits[name]
        if is_number(value) and value > most:
            message = (
                f"Invalid '{name}': decimal above maximum value. Expected a value <= {most}, but "
                f"got {value} instead."
            )
            yield Broken(message, name, "decimal_above_max_value")
        idle = (None, 1) if name in ("temperature", "top_p") else (None, 0)
        if REASONS.match(model) and "." not in model and value not in idle:
            message = (
                f"Unsupported value: '{name}' does not support {value} with this model. Only the "
                "default (1) value is supported."
            )
            yield Broken(message, name, "unsupported_value")
