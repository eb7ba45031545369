"""What each of these APIs wants besides its dialect: an address, and how a key is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pilotlight.dialects import anthropic_messages, gemini
from pilotlight.dialects.base import Dialect
from pilotlight.wire.server_sent_events import EventDecoder, NamedEventDecoder
from pilotlight.wire.tap import Wire

ANTHROPIC_VERSION: Final = "2023-06-01"
_TOKEN: Final = "sk-ant-oat"  # noqa: S105 - how a token of Anthropic's OAuth begins
_TOKEN_BETA: Final = "oauth-2025-04-20"  # noqa: S105 - without it such a token is refused
_GOOGLE: Final = "generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True)
class Manners:
    """One API: its dialect, where a model is asked, the headers of a key, how events come."""

    dialect: Dialect
    url: Callable[[str, str, bool], str]
    """Of an address, a model, and whether to stream."""
    headers: Callable[[str], dict[str, str]]
    events: Callable[[], EventDecoder]


def _messages(base: str, _model: str, _stream: bool) -> str:
    """As litellm completes it; an address that ends in `/v1`, as some SDKs want it, will do."""
    base = base.rstrip("/")
    whole = os.environ.get("LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX", "").lower() == "true"
    if whole or base.endswith("/v1/messages"):
        return base
    return f"{base}/messages" if base.endswith("/v1") else f"{base}/v1/messages"


def _anthropic_key(key: str) -> dict[str, str]:
    version = {"anthropic-version": ANTHROPIC_VERSION}
    if key.startswith(_TOKEN):
        return {"authorization": f"Bearer {key}", "anthropic-beta": _TOKEN_BETA, **version}
    return {"x-api-key": key, **version}


def _generate(base: str, model: str, stream: bool) -> str:
    """As litellm completes it; Google's own address may lack the version."""
    base = base.rstrip("/")
    if urlsplit(base).path == "" and urlsplit(base).hostname == _GOOGLE:
        base += "/v1beta"
    name = model if "/" in model else f"models/{model}"  # or `tunedModels/...`
    return f"{base}/{name}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


def _google_key(key: str) -> dict[str, str]:
    return {"x-goog-api-key": key}


MANNERS: Final[Mapping[Wire, Manners]] = {
    "anthropic": Manners(anthropic_messages, _messages, _anthropic_key, NamedEventDecoder),
    "gemini": Manners(gemini, _generate, _google_key, EventDecoder),
}


def headers_of(options: Mapping[str, Any], taken: Mapping[str, str]) -> dict[str, str] | None:
    """Return the headers that a call brings itself; None for what can't be sent beside ours."""
    found: dict[str, str] = {}
    for name in ("headers", "extra_headers"):
        given = options.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            return None
        for key, value in given.items():
            if not _is_sendable(key, value) or key.lower() in taken:
                return None
            found[key.lower()] = value
    return found


def _is_sendable(key: Any, value: Any) -> bool:
    texts = isinstance(key, str) and isinstance(value, str)
    return texts and key.isascii() and key.isprintable() and value.isascii() and value.isprintable()
