"""What an HTTP header can carry: keys, and the headers that a caller adds.

RFC 9110, 5.5: visible characters, with spaces and tabs only between them.  Of those httpx
and the SDKs send ASCII alone, and RFC 6750 allows a bearer token nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.errors import ConfigError
from pilotlight.plain import logger

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE: Final = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
_KEY: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
# Options that become headers, or a part of one.
_MAPPINGS: Final = ("extra_headers", "headers")

_log = logger("pilotlight")
_told: set[str] = set()  # where a line end was dropped, and said so


def clean_key(key: str, where: str) -> str:
    """Return a key as it can be sent: a mounted secret often ends in a line end, which is dropped.

    Raises ConfigError, which says `where` the key stands and never what it is.
    """
    cleaned = key.removesuffix("\n").removesuffix("\r") if key.endswith("\n") else key
    if cleaned and not _KEY.fullmatch(cleaned):
        raise ConfigError(
            f"{where}: the key {_trouble(cleaned)}, which no HTTP header can carry; "
            "copy it again, without what stands around it"
        )
    if cleaned != key and where not in _told:
        _told.add(where)
        _log.warning("%s: the key ends in a line end, which is not sent", where)
    return cleaned


def bad_header(options: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the headers among some options, by name; None: nothing."""
    for option in _MAPPINGS:
        given = options.get(option)
        if not isinstance(given, Mapping):
            continue
        for number, (name, value) in enumerate(given.items(), 1):
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                return f"{option}: the name of header {number} is none; it is like X-Request-Id"
            if isinstance(value, str) and value and not _VALUE.fullmatch(value):
                return f"{option}.{name} {_trouble(value)}, which no HTTP header can carry"
    organization = options.get("organization")
    if isinstance(organization, str) and organization and not _VALUE.fullmatch(organization):
        return f"organization {_trouble(organization)}, which no HTTP header can carry"
    return None


def _trouble(text: str) -> str:
    """Say what is wrong with a text in a header, without quoting it."""
    if not text.isascii():
        return "holds a character outside ASCII"
    if text != text.strip(" \t"):
        return "begins or ends with a space"
    return "holds a line end or another control character"
