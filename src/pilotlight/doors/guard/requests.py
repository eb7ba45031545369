"""Which of a client's requests are calls of a model, and in which dialect they speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pilotlight.doors.exchange.asking import BadRequest, read_body

_PATHS: Final[tuple[tuple[str, str], ...]] = (
    ("/chat/completions", "openai_chat"),
    ("/responses", "openai_responses"),
    ("/messages", "anthropic_messages"),
    ("/api/chat", "ollama"),
)
_GEMINI: Final = re.compile(r"/([^/:]+):(generateContent|streamGenerateContent)$")


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A request that asks a model; `said` is the JSON of its body."""

    dialect: str
    model: str
    stream: bool
    body: bytes = field(repr=False)
    said: Mapping[str, Any] = field(repr=False)


def model_call(path: str, dialects: frozenset[str], body: bytes) -> ModelCall | None:
    """Return the call that is posted to a path; None for any other request.

    `dialects` are those of the SDK.  What is no request of the dialect is left to the API, which
    says so in its own words, and so is a response that is made in the background: it is fetched
    from where it was begun.
    """
    if (named := _GEMINI.search(path)) is not None:
        dialect, model = "gemini", named[1]
    else:
        dialect, model = next((name for end, name in _PATHS if path.endswith(end)), ""), ""
    if dialect not in dialects:
        return None
    try:
        said = read_body(body)
    except BadRequest:
        return None
    given = model or said.get("model")
    if type(given) is not str or not given or said.get("background") is True:
        return None
    told = said.get("stream")
    stream = told is True or (told is None and dialect == "ollama")
    if named is not None:
        stream = named[2] == "streamGenerateContent"
    return ModelCall(dialect, given, stream, body, said)
