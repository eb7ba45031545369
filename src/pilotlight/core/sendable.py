"""What can be sent at all: a call is looked through once, before anybody is asked.

A lone surrogate, a number that JSON has not, a set or a dict that holds itself would be
refused by every library after its own fashion, and some fashions look like an outage.
They are the caller's, so they are told to the caller, by their place and never by their
text, before a permit is taken.

What is not plain data but an object of a library's (a class, a function, a client, somebody's
own type) may stand among the options: the provider takes it or refuses it, and what is refused
before a byte was written counts against nobody.

Made to cost next to nothing: the common types are told apart by identity, and
`str.isascii` looks at a flag.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.core.headers import bad_header
from pilotlight.errors import InvalidCall
from pilotlight.vocabulary.operations import Operation

DEPTH: Final = 100  # levels; no API takes as many, and the libraries' own recursion ends soon after
_LARGEST: Final = int(sys.float_info.max)  # what readers of JSON can hold
_ROOM: Final = 6  # steps of a place that are told
_MEND: Final = "repair or drop it, as with text.encode('utf-8', 'replace').decode()"

# The names that a place may be told by; any other key may be the caller's own words.
_SHAPES: Final = frozenset(
    """
    role content name type text image_url url detail tool_calls tool_call_id function arguments
    id parameters properties required items enum description json_schema schema strict input_audio
    data format file file_data refusal audio thinking reasoning_content function_call
    cache_control extra_headers metadata options input output args
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
# What of an SDK's or LangChain's message is sent; the rest of it was told by a provider.
_FIELDS: Final = (
    "role", "content", "name", "tool_calls", "tool_call_id", "function_call",
    "additional_kwargs", "reasoning_content",
)  # fmt: skip
# litellm keeps these to itself, for its callbacks and its own work: they may hold anything.
_KEPT: Final = frozenset(
    """
    client metadata litellm_metadata litellm_logging_obj litellm_params logger_fn shared_session
    azure_ad_token_provider custom_prompt_dict cache caching_groups proxy_server_request
    mock_response model_info model_list retry_policy secret_fields ssl_verify timeout
    request_timeout stream_timeout callbacks guardrails prompt_variables
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
_NONE: Final = type(None)


class _Unfit(Exception):
    """Something that can't be sent; the path to it is gathered, from inside, on the way out."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        self.path: list[str] = []


def check_call(
    messages: Sequence[Any],
    options: Mapping[str, Any] | None,
    operation: Operation = "chat",
    *,
    plain: bool = True,
) -> None:
    """Refuse what nobody could send; raises InvalidCall, which names the place.

    `plain`: the messages are OpenAI's shapes, of JSON's types or of pydantic's.  Otherwise they
    are a library's own, of which only the texts and numbers are looked at.
    """
    try:
        for position, message in enumerate(messages):
            if type(message) is dict and _is_simple(message):  # the usual case
                continue
            try:
                _message(message, plain)
            except _Unfit as unfit:
                unfit.path.append(f"[{position}]")
                raise
    except _Unfit as unfit:
        raise InvalidCall(_told(_whole(unfit.path, operation), unfit.trouble)) from None
    except RecursionError:
        raise InvalidCall("messages: nested too deeply, or it holds itself") from None
    if options:
        check_options(options, plain=plain)


def check_options(options: Mapping[str, Any], *, plain: bool = True) -> None:
    """Refuse options that nobody could send; raises InvalidCall, which names the option."""
    for name, value in options.items():
        kind = type(value)
        if kind is bool or kind is _NONE:
            continue
        try:
            _value(value, 1, plain and name not in _KEPT, objects=True)
        except _Unfit as unfit:
            raise InvalidCall(_told([_known(name), *reversed(unfit.path)], unfit.trouble)) from None
        except RecursionError:
            raise InvalidCall(f"{_known(name)}: nested too deeply, or it holds itself") from None
    if (trouble := bad_header(options)) is not None:
        raise InvalidCall(trouble)


def _is_simple(message: dict[Any, Any]) -> bool:
    for key, value in message.items():
        if type(value) is not str or type(key) is not str or not key.isascii():
            return False
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
    return True


def _message(message: Any, plain: bool) -> None:
    if type(message) is dict:
        for key, value in message.items():
            try:
                if not (type(key) is str and key.isascii()):
                    _key(message, key)
                if plain and key == "content" and value is not None:
                    _content(value)
                _value(value, 1, plain, objects=not plain)
            except _Unfit as unfit:
                unfit.path.append(_step(message, key))
                raise
    elif isinstance(message, Mapping):
        _message(dict(message), plain)
    elif hasattr(message, "model_dump") or not plain:
        fields = {name: getattr(message, name, None) for name in _FIELDS}
        _message({name: value for name, value in fields.items() if value is not None}, False)
    else:
        raise _Unfit(f"is a {type(message).__name__}; it should be a dict, or an SDK's message")


def _content(content: Any) -> None:
    """Refuse content that is neither text nor parts."""
    if isinstance(content, str):
        return
    if not isinstance(content, list | tuple):
        raise _Unfit(f"is a {type(content).__name__}; it should be a text or a list of parts")
    for position, part in enumerate(content):
        if isinstance(part, str):
            continue
        known = isinstance(part, Mapping) or hasattr(part, "model_dump")
        text = part.get("text") if isinstance(part, Mapping) else None
        if not known or not (text is None or isinstance(text, str)):
            wrong = text if known else part
            unfit = _Unfit(f"is a {type(wrong).__name__}; it should be a text")
            unfit.path = [".text", f"[{position}]"] if known else [f"[{position}]"]
            raise unfit


def _value(value: Any, depth: int, plain: bool, *, objects: bool) -> None:
    """Look at anything that stands in a call; raises _Unfit.

    `plain`: it is to be JSON.  `objects`: it may be an object of a library's instead.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _text(value)
    elif kind is bool or kind is _NONE:
        return
    elif kind is dict:
        _items(value, depth, plain, objects)
    elif kind is list or kind is tuple:
        _elements(value, depth, plain, objects)
    elif kind is int or kind is float:
        _number(value)
    else:
        _other(value, depth, plain, objects)


def _items(value: Mapping[Any, Any], depth: int, plain: bool, objects: bool) -> None:
    if depth > DEPTH:
        raise _Unfit(f"is nested more than {DEPTH} levels deep, or holds itself")
    key: Any = None
    try:
        for key, item in value.items():
            if not (type(key) is str and key.isascii()):
                _key(value, key)
            if type(item) is str and item.isascii():
                continue
            _value(item, depth + 1, plain, objects=objects)
    except _Unfit as unfit:
        unfit.path.append(_step(value, key))
        raise


def _elements(value: Sequence[Any], depth: int, plain: bool, objects: bool) -> None:
    if depth > DEPTH:
        raise _Unfit(f"is nested more than {DEPTH} levels deep, or holds itself")
    position = 0
    try:
        for position, item in enumerate(value):  # noqa: B007 - told if it is unfit
            if type(item) is str and item.isascii():
                continue
            _value(item, depth + 1, plain, objects=objects)
    except _Unfit as unfit:
        unfit.path.append(f"[{position}]")
        raise


def _other(value: Any, depth: int, plain: bool, objects: bool) -> None:
    """Look at what is of none of JSON's own types."""
    if isinstance(value, str):
        _text(value)
    elif isinstance(value, int | float):
        _number(value)
    elif isinstance(value, Mapping):
        _items(value, depth, plain, objects)
    elif isinstance(value, list | tuple):
        _elements(value, depth, plain, objects)
    elif hasattr(value, "model_dump") and not isinstance(value, type):
        more = getattr(value, "__pydantic_extra__", None) or {}
        _items({**vars(value), **more}, depth, False, objects=True)
    elif plain and not (objects and _is_a_librarys(value)):
        raise _Unfit(f"is a {type(value).__name__}, for which JSON has no form")


def _is_a_librarys(value: Any) -> bool:
    """Tell an object that some library may understand from Python's own data."""
    if isinstance(value, type) or callable(value):
        return True
    return type(value).__module__.partition(".")[0] not in sys.stdlib_module_names


def _number(value: float) -> None:
    if isinstance(value, int):
        if not -_LARGEST <= value <= _LARGEST:
            raise _Unfit("is a number too large to be written")
    elif not math.isfinite(value):
        raise _Unfit(f"is {float(value)!r}, and JSON has no such number")


def _text(value: str) -> None:
    try:
        str.encode(value, "utf-8")
    except UnicodeEncodeError as error:
        raise _Unfit(
            f"holds half of a surrogate pair (at character {error.start}), as a text has that was "
            f"cut in the middle of an emoji: no encoding can carry it; {_MEND}"
        ) from None


def _key(value: Mapping[Any, Any], key: Any) -> None:
    """Refuse a key that JSON can't have; it writes numbers and None as texts."""
    if isinstance(key, str):
        try:
            _text(key)
        except _Unfit as unfit:
            unfit.trouble = f"as a key {unfit.trouble}"
            raise
    elif isinstance(key, int | float):
        _number(key)
    elif key is not None:
        raise _Unfit(f"is a key of type {type(key).__name__}; JSON's keys are texts")


# How a place is told.


def _step(value: Mapping[Any, Any], key: Any) -> str:
    """Return a key as it may be told: by its name if that is of a known shape, else by number."""
    if isinstance(key, str) and key in _SHAPES:
        return f".{key}"
    number = next((n for n, each in enumerate(value, 1) if each is key), 0)
    return f".<key {number}>"


def _known(name: Any) -> str:
    """Return an option's name, if it is one."""
    plain = isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= 64
    return name if plain else "an option"


def _whole(path: list[str], operation: Operation) -> list[str]:
    """Return the path from outside, in the words of the call that was made."""
    steps = path[::-1]
    if operation == "embeddings":
        return ["texts", *[step for step in steps if step != ".content"]]
    if operation == "image":
        return ["prompt", *steps[2:]]
    return ["messages", *steps]


def _told(path: Sequence[str], trouble: str) -> str:
    shown = "".join(path[:_ROOM]) + ("..." if len(path) > _ROOM else "")
    return f"{shown} {trouble}"
