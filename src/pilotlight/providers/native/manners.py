"""What each of these APIs wants besides its dialect: an address, and how a key is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from pilotlight.catalog.providers import Spec
from pilotlight.core.headers import clean_key
from pilotlight.dialects import anthropic_messages, gemini, openai_chat, openai_responses
from pilotlight.dialects.base import Dialect, Json, Written
from pilotlight.dialects.openai_chat.models import by_responses_alone
from pilotlight.providers.connection import Connection
from pilotlight.wire.events.server_sent import EventDecoder, NamedEventDecoder
from pilotlight.wire.tap import Wire

ANTHROPIC_VERSION: Final = "2023-06-01"
_TOKEN: Final = "sk-ant-oat"  # noqa: S105 - how a token of Anthropic's OAuth begins
_TOKEN_BETA: Final = "oauth-2025-04-20"  # noqa: S105 - without it such a token is refused
_GOOGLE: Final = "generativelanguage.googleapis.com"
_CHAT: Final = "/chat/completions"
_RESPONSES: Final = "/responses"
# OpenAI's models that complete texts and know no chat: no dialect speaks to them.
_NO_CHAT: Final = re.compile(r"(?:ft:)?(?:davinci|babbage)-.*|.*-instruct(?:-\d+)?$")


@dataclass(frozen=True, slots=True)
class Manners:
    """One API: its dialect, where a model is asked, the headers of a key, how events come.

    `counts`: it tells the tokens of a stream only when asked to.  `tells`: whether it is sure
    without writing it, of messages and options, that a call can be told.
    """

    dialect: Dialect
    url: Callable[[str, str, bool], str]
    """Of an address, a model, and whether to stream."""
    headers: Callable[[str], dict[str, str]]
    events: Callable[[], EventDecoder]
    write: Callable[[Json], Written]
    tells: Callable[[Sequence[Any], Mapping[str, Any]], bool]
    counts: bool = False


def is_simple(messages: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Tell a call of plain texts, which every API can be told."""
    return _SIMPLE.issuperset(options) and all(
        type(each) is dict and _TEXT.issuperset(each) and type(each.get("content")) is str
        for each in messages
    )


_SIMPLE: Final = frozenset({"temperature", "top_p", "max_tokens", "seed", "stream_options"})
_TEXT: Final = frozenset({"role", "content"})


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


def _at(path: str) -> Callable[[str, str, bool], str]:
    """Return how an address of OpenAI's kind is completed, whichever of its paths it has."""

    def url(base: str, _model: str, _stream: bool) -> str:
        return base.rstrip("/").removesuffix(_CHAT).removesuffix(_RESPONSES) + path

    return url


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _azure_key(key: str) -> dict[str, str]:
    return {"api-key": key}


def _openai_key(key: str) -> dict[str, str]:
    """With what the openai SDK sends of the environment."""
    found = _bearer(key)
    for variable, name in _SDK_HEADERS.items():
        if value := os.environ.get(variable):
            found[name] = clean_key(value, variable)
    for line in os.environ.get(_CUSTOM, "").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            found[clean_key(name.strip(), _CUSTOM).lower()] = clean_key(value.strip(), _CUSTOM)
    return found


_CUSTOM: Final = "OPENAI_CUSTOM_HEADERS"
_SDK_HEADERS: Final = {
    "OPENAI_ORG_ID": "openai-organization",
    "OPENAI_PROJECT_ID": "openai-project",
}
_KEYS: Final[Mapping[str, Callable[[str], dict[str, str]]]] = {
    "openai": _openai_key,
    "azure": _azure_key,
}
MANNERS: Final[Mapping[Wire, Manners]] = {
    "anthropic": Manners(
        anthropic_messages,
        _messages,
        _anthropic_key,
        NamedEventDecoder,
        anthropic_messages.write_request,
        is_simple,
    ),
    "gemini": Manners(
        gemini, _generate, _google_key, EventDecoder, gemini.write_request, is_simple
    ),
}


def manners_of(connection: Connection) -> Manners | None:
    """Return how an endpoint is asked; None for one that speaks none of the dialects."""
    spec = connection.spec
    if connection.wire != "openai":
        return MANNERS.get(connection.wire)
    if not connection.base_url or _NO_CHAT.fullmatch(spec.bare_model):
        return None
    if spec.provider == "azure" and not _is_v1(connection.base_url):
        return None  # each deployment has an address of its own there
    alone = spec.provider in _KEYS and by_responses_alone(spec.bare_model)
    return responses(spec) if spec.by_responses or alone else _chat(spec, connection.base_url)


def responses(spec: Spec) -> Manners:
    """Return how the Responses API is asked."""
    dialect = openai_responses
    headers = _KEYS.get(spec.provider, _bearer)
    write, events = dialect.write_request, NamedEventDecoder
    return Manners(dialect, _at(_RESPONSES), headers, events, write, is_simple)


def _chat(spec: Spec, base: str) -> Manners:
    name = spec.provider
    if name == "openai" and not is_openais(base):
        name = "openai_elsewhere"
    manner = openai_chat.manner_of(name)
    write = partial(openai_chat.write_request, manner=manner)
    headers = _KEYS.get(spec.provider, _bearer)
    tells = openai_chat.is_usual
    return Manners(openai_chat, _at(_CHAT), headers, EventDecoder, write, tells, manner.counts)


def is_openais(base: str) -> bool:
    """Tell whether an address is OpenAI's own, which refuses what it does not know."""
    host = urlsplit(base).hostname or ""
    return host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))


def _is_v1(base: str) -> bool:
    """Tell Azure's newer addresses, `https://NAME.openai.azure.com/openai/v1/`."""
    return urlsplit(base).path.rstrip("/").endswith("/v1")


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
