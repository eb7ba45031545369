"""Reading an error body: whatever the dialect, how broken it may be.

OpenAI nests, Anthropic wraps, Gemini lists, Ollama sends a bare text, gateways put
one JSON text into another, proxies answer in HTML, and any of it may be cut off.
All of it becomes a `Said`, which the table of `rows_faults.py` can be asked about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

BODY_LIMIT: Final = 64 * 1024  # characters of a body that are looked at
TEXT_LIMIT: Final = 2000  # characters of wording that are matched
_DEPTH: Final = 8  # no provider nests deeper, and a hostile body must not cost us the stack
_PARTS: Final = 64  # codes and texts kept of one body


def words(text: str) -> frozenset[str]:
    """Return the words of a text, as a set."""
    return frozenset(text.split())


_CODE_KEYS: Final = words(
    "code type status reason name title __type error_code error_type errorcode err_code "
    "blockreason exceptionname"
)
_TEXT_KEYS: Final = words(
    "message msg detail details error errors error_msg error_message error_description "
    "errormessage faultstring title raw quotaid reason description"
)
_NESTED_KEYS: Final = words(
    "error errors message detail details innererror inner_error metadata response violations "
    "fault body previous_errors raw error_msg last_error"
)
# These say that something is an error, not which one.
_NOISE: Final = frozenset({"error", "about:blank", "none", "null", "", "fail", "failed", "message"})
_STATUS_KEYS: Final = words(
    "code status statuscode status_code raw_status_code error_code httpstatuscode"
)

_MARKUP: Final = re.compile(
    r"\s*<(?:!doctype|!--|\?xml|html|head|title|body|center|h1|p|div)", re.IGNORECASE
)
_TITLE: Final = re.compile(r"<(title|h1)[^>]*>\s*([^<]{1,200})", re.IGNORECASE)
_FIELD: Final = re.compile(
    r'"([A-Za-z_]{2,20})"\s*:\s*(?:"((?:[^"\\]|\\.){0,4000})(?:"|\\?$)|(-?[0-9]{1,9})\b)'
)
_ERROR: Final = re.compile(r'"error"(?!\s*:\s*(?:null|false|""|\{\s*\}))')
_SSE: Final = re.compile(r"^\s*(?:event|data|id|retry):", re.MULTILINE)
_STATUS_NUMBER: Final = re.compile(r"[1-5][0-9]{2}")
_ANSWER_KEYS: Final = words(
    "choices candidates content message response output outputs image images artifacts data "
    "embedding embeddings usagemetadata done text id generations"
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a body says, once its dialect is taken off.

    `codes` are the machine-readable names (code, type, status, reason ...) in lower
    case, the most specific first; `text` is all the wording there is, `message` its
    first part; `status` is an HTTP status named inside the body.
    """

    codes: tuple[str, ...] = ()
    message: str = ""
    text: str = ""
    status: int | None = None
    error: bool = False  # the body is an error, not an answer
    markup: bool = False  # HTML or XML: a proxy speaks, not the provider
    data: Any = None  # the parsed JSON; None if it could not be parsed

    @property
    def code(self) -> str | None:
        """Return the most specific code."""
        return self.codes[0] if self.codes else None


def read_body(body: bytes | str | object, content_type: str = "") -> Said:
    """Read a body of any dialect, complete or cut off; never raises."""
    if not isinstance(body, bytes | bytearray | str):
        return _of_data(body)
    text = _decoded(body)
    if _MARKUP.match(text) or ("html" in content_type.lower() and not text.startswith(("{", "["))):
        return Said(message=_title(text), markup=True)
    data = _parsed(text)
    if data is None and _SSE.search(text[:200]):
        data = _parsed_stream(text)
    if data is not None:
        return _of_data(data)
    if text[:1] in ("{", "[") or '{"' in text[:200]:
        return _salvaged(text)
    return Said(message=text[:TEXT_LIMIT], text=text[:TEXT_LIMIT])


def is_broken_json(body: bytes) -> bool:
    """Tell whether there is a body, and it is no JSON."""
    text = _decoded(body)
    return bool(text) and _loads(text) is None and text.strip() != "null"


def is_garbled(head: bytes) -> bool:
    """Tell whether an event of a stream could not be read: garbage, or cut in the middle."""
    for line in _decoded(head).splitlines():
        payload = line.strip()
        if payload.startswith("data:"):
            payload = payload[5:].strip()
        if payload.startswith("{") and _loads(payload) is None:
            return True
    return False


def _decoded(body: bytes | bytearray | str) -> str:
    if not isinstance(body, str):
        body = bytes(body[: BODY_LIMIT * 2]).decode("utf-8", "replace")
    return body[:BODY_LIMIT].lstrip("\ufeff \t\r\n")


def _title(page: str) -> str:
    found = _TITLE.search(page)
    return " ".join(found[2].split()) if found else ""


def _loads(text: str) -> Any:
    """Parse JSON; None for what is none (a bare `null` says nothing either)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # ValueError also for numbers of thousands of digits
        return None


def _parsed(text: str) -> Any:
    """Parse JSON with or without something after it, as in NDJSON."""
    if text[:1] not in ("{", "["):
        return None
    data = _loads(text)
    if data is None:
        try:
            data, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict | list) else None


def _parsed_stream(text: str) -> Any:
    """Return the first event that is an error, else the first that is JSON."""
    first = None
    for line in text.splitlines()[:200]:
        data = _parsed(line[5:].strip()) if line.startswith("data:") else None
        if isinstance(data, dict):
            if is_error_object(data):
                return data
            first = first or data
    return first


def is_error_object(data: Mapping[Any, Any]) -> bool:
    """Tell whether this is an error; `"error": null` beside an answer is none."""
    keys = {str(key).lower() for key in data}
    if data.get("error") and not keys & {"choices", "candidates"}:
        return True
    if "error" in (data.get("object"), data.get("type")):
        return True
    if keys & _ANSWER_KEYS - {"message", "id", "text", "data"} or _is_message(data):
        return False
    told = keys & {"detail", "errors", "message", "error_msg", "error_code", "fault", "title"}
    return bool(told - {"message"}) or ("message" in keys and not keys & {"id", "data"})


def _is_message(data: Mapping[Any, Any]) -> bool:
    """Tell an answer's `message` object from an error's `message` text."""
    message = data.get("message")
    return isinstance(message, dict) and bool({"role", "content"} & set(message))


def _of_data(data: object) -> Said:
    if isinstance(data, list):  # Gemini lists its errors when streaming
        data = next((item for item in data if isinstance(item, dict)), {})
    if not isinstance(data, Mapping):
        text = data if isinstance(data, str) else ""
        return Said(message=text[:TEXT_LIMIT], text=text[:TEXT_LIMIT], data=data)
    found = _Found()
    found.take(data, 0)
    return found.said(data)


def _salvaged(text: str) -> Said:
    """Read what can be read of JSON that was cut off."""
    found = _Found()
    for key, value, number in _FIELD.findall(text):
        found.field(key.lower(), _loads(f'"{value}"') or value if value else int(number or 0))
    said = found.said({})
    error = _ERROR.search(text[:200]) is not None
    return Said(said.codes, said.message, said.text, said.status, error=error)


class _Found:
    """The codes and texts of one body, gathered in the order of their depth."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.texts: list[str] = []
        self.status: int | None = None

    def said(self, data: Mapping[Any, Any]) -> Said:
        """Return what was found."""
        codes = tuple(dict.fromkeys(self.codes))
        text = " ".join(dict.fromkeys(self.texts))[:TEXT_LIMIT]
        message = self.texts[0][:TEXT_LIMIT] if self.texts else ""
        error = is_error_object(data)
        return Said(codes, message, text, self.status, error, data=data)

    def take(self, data: Mapping[Any, Any], depth: int) -> None:
        """Walk an error object: its own fields first, then what is inside it."""
        inner: list[object] = []
        items = [(str(key).lower(), value) for key, value in list(data.items())[:_PARTS]]
        if any(key == "signin_url" and value for key, value in items):
            self.codes.append("signin_url")  # Ollama: this name lives in the cloud
        for key, value in sorted(items, key=lambda item: item[0] != "code"):
            if isinstance(value, str | int | float):
                nested = _embedded(value) if key in _NESTED_KEYS else None
                if nested is None:
                    self.field(key, value)
                else:
                    inner.append(nested)
            elif key in _NESTED_KEYS:
                inner.append(value)
        for value in inner:
            self._take_inner(value, depth + 1)

    def _take_inner(self, value: object, depth: int) -> None:
        if depth > _DEPTH:
            return
        if isinstance(value, Mapping):
            self.take(value, depth)
        elif isinstance(value, list | tuple):
            for item in value[:16]:
                self._take_inner(item, depth + 1)
        elif isinstance(value, str):
            self.texts.append(value[:TEXT_LIMIT])

    def field(self, key: str, value: str | float) -> None:
        """Take one plain field."""
        if len(self.codes) + len(self.texts) > _PARTS:
            return
        if key in _STATUS_KEYS and self.status is None:
            self.status = as_status(value)
        if not isinstance(value, str):
            return
        named = key in _CODE_KEYS and value.lower() not in _NOISE and len(value) <= 100
        if named and as_status(value) is None:
            self.codes.append(value.lower())
        if key in _TEXT_KEYS and value:
            self.texts.append(value[:TEXT_LIMIT])


def as_status(value: object) -> int | None:
    """Return an HTTP status that was sent as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int):
        return int(value) if 100 <= value <= 599 else None
    text = str(value)
    return int(text) if _STATUS_NUMBER.fullmatch(text) and text.isascii() else None


def _embedded(value: object) -> Any:
    """Return the JSON that some servers put into a text (Ollama, OpenRouter, Gemini)."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _parsed(value.strip()[:BODY_LIMIT])
    return None
