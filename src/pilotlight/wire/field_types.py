"""Of which kind each field of an OpenAI-shaped answer is, and what becomes of one that is not.

What a reader must be able to rely on is necessary: text is text, a tool call has a name.  An
answer that breaks that is `malformed_response`.  The rest is optional: what is of another kind
is read as if it were not there.  Works on plain JSON and on the objects of litellm alike.

Source of the kinds: OpenAI's API reference, chat completions.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pilotlight.errors import ProviderFault

DEEPEST: Final = 64  # levels of nesting; no answer has a dozen, and readers recurse
MOST: Final = 2**53  # a count beyond what JSON's numbers hold exactly counts nothing
_LONGEST_NAME: Final = 300  # characters of a model's name, a finish reason, an id
_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALVES: Final = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
_LONE: Final = re.compile("[\ud800-\udfff]")
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{}"'))
_OPENING: Final = (b"{", b"[")
_TEXT: Final = re.compile(rb'"[^"]*"?')

_NAMES: Final = {
    str: "a text", bool: "a boolean", int: "a number", float: "a number", list: "a list",
    dict: "an object", type(None): "null",
}  # fmt: skip


def of(thing: Any, name: str) -> Any:
    """Return a field; None where there is none, or nothing that could have one."""
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


# Optional: another kind is none.


def text_in(thing: Any, name: str) -> str | None:
    """Return a text."""
    return value if isinstance(value := of(thing, name), str) else None


def name_in(thing: Any, name: str) -> str | None:
    """Return a text that is a name: short, for receipts and tables."""
    return value[:_LONGEST_NAME] if (value := text_in(thing, name)) else None


def count_in(thing: Any, name: str) -> int | None:
    """Return a number of things: a whole one, not negative, no boolean, no NaN."""
    value = of(thing, name)
    return value if type(value) is int and 0 <= value < MOST else None


def list_in(thing: Any, name: str) -> list[Any]:
    """Return a list; an empty one for what is none."""
    return value if isinstance(value := of(thing, name), list) else []


def dict_in(thing: Any, name: str) -> dict[str, Any]:
    """Return an object of plain JSON; an empty one for what is none."""
    return value if isinstance(value := of(thing, name), dict) else {}


# Necessary: another kind is no answer.


def choices_of(answer: Any) -> list[Any]:
    """Return the choices of an answer or a chunk, each with a message or delta that can be read.

    Raises ProviderFault (malformed_response) where a field is of another kind than promised.
    """
    choices = of(answer, "choices")
    if choices is None:
        return []
    if not isinstance(choices, list):
        raise odd("choices", choices, "a list")
    for place, choice in enumerate(choices):
        at = f"choices[{place}]"
        _object(choice, at)
        _text(choice, "finish_reason", at)
        for part, whole in (("message", True), ("delta", False)):
            if (said := of(choice, part)) is not None:
                _said(said, f"{at}.{part}", whole)
    return choices


def _said(said: Any, at: str, whole: bool) -> None:
    _object(said, at)
    _text(said, "content", at)
    calls = of(said, "tool_calls")
    if calls is not None:
        if not isinstance(calls, list):
            raise odd(f"{at}.tool_calls", calls, "a list")
        for place, call in enumerate(calls):
            _call(call, f"{at}.tool_calls[{place}]", whole)
    if (call := of(said, "function_call")) is not None:  # some send one without a name: none
        _function(call, f"{at}.function_call", whole=False)


def _call(call: Any, at: str, whole: bool) -> None:
    _object(call, at)
    _text(call, "id", at)
    if (function := of(call, "function")) is not None:
        _function(function, f"{at}.function", whole)
    elif (custom := of(call, "custom")) is not None or whole:
        _object(custom, f"{at}.custom")
        _text(custom, "name", f"{at}.custom")
        _text(custom, "input", f"{at}.custom")


def _function(function: Any, at: str, whole: bool) -> None:
    _object(function, at)
    _text(function, "arguments", at)
    _text(function, "name", at)
    if whole and not of(function, "name"):
        raise ProviderFault("malformed_response", evidence=f"{at} has no name")


def _text(thing: Any, name: str, at: str) -> None:
    value = of(thing, name)
    if value is not None and not isinstance(value, str):
        raise odd(f"{at}.{name}", value, "a text")


def _object(thing: Any, at: str) -> None:
    if not _is_object(thing):
        raise odd(at, thing, "an object")


def _is_object(thing: Any) -> bool:
    """Tell JSON's objects, and a library's, from every other kind."""
    return thing is not None and not isinstance(thing, str | int | float | list)


def odd(at: str, value: Any, wanted: str) -> ProviderFault:
    """Say that a field is of another kind; its value may be what was said, and is not quoted."""
    found = _NAMES.get(type(value), "an object")
    return ProviderFault("malformed_response", evidence=f"{at} is {found} in place of {wanted}")


def calls_tools(said: Any) -> bool:
    """Tell whether a message calls a tool; a call without a name is none."""
    return bool(of(said, "tool_calls") or of(of(said, "function_call"), "name"))


def refusal_in(said: Any) -> str | None:
    """Return a refusal in words; litellm puts it among what is the provider's own."""
    own = dict_in(said, "provider_specific_fields")
    return text_in(said, "refusal") or text_in(own, "refusal")


_HEAD: Final = {"id": str, "object": str, "model": str, "system_fingerprint": str, "created": int}


def check_head(answer: Any) -> None:
    """Hold the fields beside the choices to their kinds, in an object that litellm has made.

    Its classes take any kind for some, and only writing them down again fails.
    Raises ProviderFault (malformed_response).
    """
    for name, kind in _HEAD.items():
        value = of(answer, name)
        if value is not None and type(value) is not kind:
            raise odd(name, value, _NAMES[kind])
    if (usage := of(answer, "usage")) is not None:
        _object(usage, "usage")


# The JSON itself.


def loads(data: bytes) -> Any:
    """Parse JSON that anybody may read on: not too deep, and of texts that can be encoded.

    Raises ValueError, or RecursionError.
    """
    if too_deep(data):
        raise RecursionError(f"JSON nested deeper than {DEEPEST}")
    said = json.loads(data)
    return mended(said) if has_halves(data) else said


def has_halves(data: bytes) -> bool:
    """Tell whether JSON may hold half a character, as an escape without its other half."""
    return b"\\u" in data and _HALVES.search(data) is not None


def too_deep(data: bytes) -> bool:
    """Tell whether JSON nests deeper than `DEEPEST`; costs two quick counts for most."""
    if data.count(b"{") + data.count(b"[") <= DEEPEST:
        return False
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in _OPENING:  # a picture has as many brackets
        return False
    depth = 0
    marks = _ESCAPE.sub(b"", data).translate(None, _NOT_STRUCTURE)
    for mark in _TEXT.sub(b"", marks):
        depth += 1 if mark in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False


def mended(value: Any) -> Any:
    """Replace half characters (lone surrogates), which no file, socket or terminal can take."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [mended(each) for each in value]
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in value.items()}
    return value
