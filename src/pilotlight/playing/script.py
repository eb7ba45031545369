"""Scripted answers, in whatever API a target or an SDK asks for them."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pilotlight.core.provider import Call
from pilotlight.dialects.base import Json
from pilotlight.doors.exchange.framing import FRAMINGS
from pilotlight.doors.exchange.writing import whole
from pilotlight.playing.server import Asked, Reply
from pilotlight.providers.relay.ways import dialect_named
from pilotlight.providers.replies import ChatReply
from pilotlight.registry import REGISTRY

_JSON: Final = {"content-type": "application/json"}
_PATHS: Final = {
    "/chat/completions": "openai_chat",
    "/responses": "openai_responses",
    "/messages": "anthropic_messages",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/api/chat": "ollama",
}
# What an Ollama is asked besides: there is such a model, and it runs here.
_HOUSE: Final[dict[str, Callable[[], Json]]] = {
    "/api/version": lambda: {"version": "0.33.0"},
    "/api/show": lambda: {"details": {}, "model_info": {}, "capabilities": ["completion"]},
    "/api/tags": lambda: {"models": [{"name": name, "model": name} for name in _installed()]},
    "/api/ps": lambda: {"models": []},
}


def _installed() -> set[str]:
    """Return the models of all Ollama targets of this process."""
    names = {each.model for each in REGISTRY.records}
    bare = {name.partition("/")[2] for name in names if name.startswith("ollama")}
    return {name if ":" in name else f"{name}:latest" for name in bare}


class Script:
    """Answers one line a call; the last line holds from then on."""

    def __init__(self, answer: str | Sequence[str]) -> None:
        lines: Any = [answer] if isinstance(answer, str) else answer
        texts = isinstance(lines, list | tuple) and all(isinstance(line, str) for line in lines)
        if not (texts and lines):
            raise ValueError(f"answer={answer!r}: it should be a text, or a list of texts")
        self._lines: list[str] = list(lines)
        self._next = itertools.count()
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        said = _read(asked.body)
        model = str(said.get("model") or "played")
        if (house := house_answer(asked)) is not None:
            return house
        dialect = next((name for end, name in _PATHS.items() if path.endswith(end)), None)
        if path.endswith("/images/generations"):
            return json_reply({"created": 1, "data": [{"url": self._line()}]})
        if dialect is None:
            return _embedded(path, said) or json_reply(
                {"error": {"message": f"{path} is not played"}}, 404
            )
        if not _streams(path, dialect, said):
            reply = ChatReply(_answer(self._line(), model), dialect)
            headers, body = whole(dialect, reply, Call(route="played"))
            return Reply(200, headers, iter([body]))
        kind = FRAMINGS[dialect].content_type
        return Reply(200, {"content-type": kind}, _stream(dialect, self._line(), model))

    def _line(self) -> str:
        with self._lock:
            return self._lines[min(next(self._next), len(self._lines) - 1)]


def house_answer(asked: Asked) -> Reply | None:
    """Return what an Ollama says of itself; None for any other request."""
    found = _HOUSE.get(asked.path.partition("?")[0])
    return None if found is None else json_reply(found())


def _read(body: bytes) -> Json:
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def json_reply(said: Any, status: int = 200) -> Reply:
    """Return an answer of JSON."""
    return Reply(status, _JSON, iter([json.dumps(said).encode()]))


def _streams(path: str, dialect: str, said: Json) -> bool:
    if dialect == "gemini":
        return path.endswith(":streamGenerateContent")
    return bool(said.get("stream", dialect == "ollama"))


def _usage(text: str) -> Json:
    count = len(text.split())
    return {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": count + 1}


def _answer(text: str, model: str) -> Json:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "played", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": [choice], "usage": _usage(text)}


def _stream(dialect: str, text: str, model: str) -> Iterator[bytes]:
    head = {"id": "played", "object": "chat.completion.chunk", "created": 1, "model": model}
    words = re.findall(r"\S+\s*", text) or [text]
    deltas = [{"role": "assistant", "content": word} for word in words]
    choices: list[Json] = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks: list[Json] = [{**head, "choices": [choice]} for choice in choices]
    chunks.append({**head, "choices": [], "usage": _usage(text)})
    framing, writer = FRAMINGS[dialect], dialect_named(dialect).writer()
    for chunk in chunks:
        yield b"".join(map(framing.frame, writer.feed(chunk)))
    yield b"".join(map(framing.frame, writer.finish())) + framing.last_word


def _embedded(path: str, said: Json) -> Reply | None:
    """Return vectors that depend on nothing but their texts; None for any other request."""
    given = said.get("input", ())
    texts = [given] if isinstance(given, str) else list(given)
    vectors = [[float(len(text)), float(sum(map(ord, text))), 1.0] for text in map(str, texts)]
    if path.endswith("/api/embed"):
        return json_reply({"model": said.get("model"), "embeddings": vectors})
    if not path.endswith("/embeddings"):
        return None
    data = [
        {"object": "embedding", "index": place, "embedding": vector}
        for place, vector in enumerate(vectors)
    ]
    return json_reply(
        {"object": "list", "model": said.get("model"), "data": data, "usage": _usage("")}
    )
