"""How each dialect's API is asked: the address, how a key is shown, how events come."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.headers import clean_key
from pilotlight.providers.connection import Connection
from pilotlight.providers.native.manners import MANNERS
from pilotlight.wire.raw_events import Decoder, LineDecoder
from pilotlight.wire.server_sent_events import EventDecoder
from pilotlight.wire.tap import Wire

_ORGANISATION: Final = {
    "OPENAI_ORG_ID": "openai-organization",
    "OPENAI_PROJECT_ID": "openai-project",
}


@dataclass(frozen=True, slots=True)
class Way:
    """One API: the wire that it is watched as, its address, its key, its events."""

    wire: Wire
    url: Callable[[str, str, bool], str]
    """Of an address, a model, and whether to stream."""
    headers: Callable[[Connection], Mapping[str, str]]
    events: Callable[[], Decoder]
    last: re.Pattern[bytes] | None
    """The start of the event that nothing of the answer follows; None: there is none."""


@cache
def dialect_named(name: str) -> Any:
    """Return a dialect by its name, both as a target and as what a caller speaks.

    Only those that are spoken are imported.
    """
    return import_module(f"pilotlight.dialects.{name}")


def _under(path: str) -> Callable[[str, str, bool], str]:
    def url(base: str, _model: str, _stream: bool) -> str:
        base = base.rstrip("/")
        return base if base.endswith(path) else base + path

    return url


def _bearer(connection: Connection) -> Mapping[str, str]:
    headers = {"authorization": f"Bearer {connection.api_key or NO_KEY_NEEDED}"}
    if connection.spec.provider == "openai":
        found = {name: os.environ.get(name) for name in _ORGANISATION}
        headers |= {_ORGANISATION[n]: clean_key(v, n) for n, v in found.items() if v}
    return headers


def _of_ollama(connection: Connection) -> Mapping[str, str]:
    key = connection.spec.api_key
    return {"authorization": f"Bearer {key}"} if key else {}


def _native(wire: Wire, last: re.Pattern[bytes] | None = None) -> Way:
    manners = MANNERS[wire]

    def headers(connection: Connection) -> Mapping[str, str]:
        return manners.headers(connection.api_key or NO_KEY_NEEDED)

    return Way(wire, manners.url, headers, manners.events, last)


_DONE: Final = re.compile(rb"\[DONE\]")
_RESPONSE: Final = re.compile(rb'\{"type":\s*"response\.(?:completed|incomplete|failed)"')
_MESSAGE: Final = re.compile(rb'\{"type":\s*"message_stop"')
WAYS: Final[Mapping[str, Way]] = {
    "openai_chat": Way("openai", _under("/chat/completions"), _bearer, EventDecoder, _DONE),
    "openai_responses": Way("openai", _under("/responses"), _bearer, EventDecoder, _RESPONSE),
    "anthropic_messages": _native("anthropic", _MESSAGE),
    "gemini": _native("gemini"),
    "ollama": Way("ollama", _under("/api/chat"), _of_ollama, LineDecoder, None),
}
