"""The addresses of the gateway: which dialect is spoken there, and what is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

DialectName = Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama"]
Does = Literal[
    "answer", "generate", "embed", "count", "models", "model", "show", "version", "running",
    "hello", "live", "ready", "status", "status_json", "file", "metrics",
]  # fmt: skip
OPEN: Final[frozenset[Does]] = frozenset({"live", "ready", "hello"})  # to whoever reaches us
OPERATORS: Final[frozenset[Does]] = frozenset({"status", "status_json", "file", "metrics"})


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at an address; `shown` is the address in a log, without what callers put in.

    `model` and `stream` are of an address that says them, as Gemini's do.
    """

    dialect: DialectName
    does: Does
    shown: str
    model: str | None = None
    stream: bool | None = None


class Nowhere(Exception):
    """Nothing stands at an address, or another method is wanted there (`allow`)."""

    def __init__(self, dialect: DialectName, allow: str = "") -> None:
        super().__init__(dialect)
        self.dialect: DialectName = dialect
        self.allow = allow


def _table(
    dialect: DialectName, method: str, places: Mapping[str, Does]
) -> dict[tuple[str, str], Place]:
    return {(method, path): Place(dialect, does, path) for path, does in places.items()}


PLACES: Final[Mapping[tuple[str, str], Place]] = {
    **_table(
        "openai_chat",
        "POST",
        {
            **{f"{v}/chat/completions": "answer" for v in ("/v1", "")},
            **{f"{v}/embeddings": "embed" for v in ("/v1", "")},
        },
    ),
    **_table("openai_responses", "POST", {f"{v}/responses": "answer" for v in ("/v1", "")}),
    **_table("openai_chat", "GET", {f"{v}/models": "models" for v in ("/v1", "")}),
    **_table(
        "anthropic_messages",
        "POST",
        {"/v1/messages": "answer", "/v1/messages/count_tokens": "count"},
    ),
    **_table("gemini", "GET", {"/v1beta/models": "models"}),
    **_table(
        "ollama",
        "POST",
        {
            "/api/chat": "answer",
            "/api/generate": "generate",
            "/api/embed": "embed",
            "/api/show": "show",
        },
    ),
    **_table(
        "ollama",
        "GET",
        {"/api/tags": "models", "/api/ps": "running", "/api/version": "version", "/": "hello"},
    ),
    **_table(
        "openai_chat",
        "GET",
        {
            "/health/live": "live",
            "/health/ready": "ready",
            "/metrics": "metrics",
            "/status": "status",
            "/status.json": "status_json",
            "/status/status.css": "file",
            "/status/status.js": "file",
            "/status/flame.svg": "file",
        },
    ),
}  # fmt: skip
_METHODS: Final[Mapping[str, str]] = {path: method for method, path in PLACES}
_GEMINI: Final = re.compile(r"/(?:v1beta|v1alpha|v1)/models/(?P<model>.+):(?P<verb>\w+)")
VERBS: Final[Mapping[str, tuple[Does, bool | None]]] = {
    "generateContent": ("answer", False),
    "streamGenerateContent": ("answer", True),
    "countTokens": ("count", None),
    "embedContent": ("embed", None),
    "batchEmbedContents": ("embed", None),
}
_MODEL: Final = re.compile(r"/(?P<version>v1|v1beta)/models/(?P<model>[^:]+)")
_DIALECTS: Final[tuple[tuple[str, DialectName], ...]] = (
    ("/v1/messages", "anthropic_messages"),
    ("/v1beta", "gemini"),
    ("/v1alpha", "gemini"),
    ("/api", "ollama"),
)


def place_of(method: str, path: str, *, google: bool = False) -> Place:
    """Return what stands at an address; raises Nowhere.

    `google`: one of Google's SDKs asks, which list models where OpenAI's do.
    """
    asked = "GET" if method == "HEAD" else method
    if (place := PLACES.get((asked, path))) is not None:
        return replace(place, dialect="gemini") if google and place.does == "models" else place
    if (found := _GEMINI.fullmatch(path)) and (verb := VERBS.get(found["verb"])):
        _allow(asked, "POST", "gemini")
        return Place("gemini", verb[0], f"/models/*:{found['verb']}", found["model"], verb[1])
    if found := _MODEL.fullmatch(path):
        dialect: DialectName = "gemini" if google or found["version"] == "v1beta" else "openai_chat"
        _allow(asked, "GET", dialect)
        return Place(dialect, "model", f"/{found['version']}/models/*", found["model"])
    dialect = next((each for start, each in _DIALECTS if path.startswith(start)), "openai_chat")
    raise Nowhere(dialect, _METHODS.get(path, ""))


def _allow(asked: str, wanted: str, dialect: DialectName) -> None:
    if asked != wanted:
        raise Nowhere(dialect, wanted)
