"""Servers of five dialects on loopback, and what their callers send and read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from broken_streams import STREAMS, TEXT, WORDS

from pilotlight import Pilotlight, Route
from pilotlight.config.schema import parse
from pilotlight.dialects.base import Asked
from pilotlight.doors.exchange import BrokenStream, CallerRequest, aask, ask
from pilotlight.providers.relay.ways import dialect_named
from pilotlight.registry import Registry
from pilotlight.wire.events.raw import LineDecoder
from pilotlight.wire.events.server_sent import EventDecoder
from tests.providers.loopback import Loopback, Say, reply, said

DIALECTS: Final = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
# A target that speaks each dialect by itself.
MODELS: Final = {
    "openai_chat": "openai/gpt-4o",
    "anthropic_messages": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "ollama": "ollama/llama3.2",
}
TARGETS: Final = tuple(MODELS)
STREAMED: Final = {
    "openai_chat": "openai",
    "openai_responses": "responses",
    "anthropic_messages": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "openai_chat": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
    "openai_responses": {"model": "gpt-4o", "input": "hello"},
    "anthropic_messages": {
        "model": "claude-sonnet-4-5", "max_tokens": 99,
        "messages": [{"role": "user", "content": "hello"}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
    "ollama": {"model": "llama3.2", "messages": [{"role": "user", "content": "hello"}]},
}  # fmt: skip
WHOLE: Final[dict[str, dict[str, Any]]] = {
    "openai_chat": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "next_year": 1,
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    },
    "openai_responses": {
        "id": "r", "object": "response", "created_at": 1, "model": "gpt-4o", "next_year": 1,
        "status": "completed", "output": [{
            "id": "i", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        }],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    },
    "anthropic_messages": {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "next_year": 1,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": TEXT}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}, "nextYear": 1,
        "modelVersion": "gemini-2.5-flash", "responseId": "r",
    },
    "ollama": {
        "model": "llama3.2", "message": {"role": "assistant", "content": TEXT}, "next_year": 1,
        "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4,
    },
}  # fmt: skip


def events_of(dialect: str, words: tuple[str, ...] = WORDS) -> bytes:
    return b"".join(STREAMS[STREAMED[dialect]](words))


def wants_stream(path: str, body: bytes) -> bool:
    told = json.loads(body).get("stream")
    default = path.endswith("/api/chat")
    return "streamGenerate" in path or (default if told is None else told)


def dialect_at(path: str) -> str:
    ends = {
        "/chat/completions": "openai_chat", "/responses": "openai_responses",
        "/messages": "anthropic_messages", "/api/chat": "ollama",
    }  # fmt: skip
    plain = path.partition("?")[0]
    return next((name for end, name in ends.items() if plain.endswith(end)), "gemini")


def well(path: str, body: bytes, words: tuple[str, ...] = WORDS) -> bytes:
    """Answer as the API of the path does."""
    if path.endswith("/api/show"):
        return said({"details": {}})
    dialect = dialect_at(path)
    if not wants_stream(path, body):
        return said(WHOLE[dialect])
    kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    return reply(events_of(dialect, words), kind=kind)


def refusing(status: int, more: str = "") -> Say:
    def say(path: str, body: bytes) -> bytes:
        error: Any = {"message": "no", "type": "the_api_s_own", "code": "own", "status": "OWN"}
        if dialect_at(path) == "ollama":
            return said({"error": "no"}, status, more=more)
        return said({"type": "error", "error": error}, status, more=more)

    return say


def cut(after: int, words: tuple[str, ...] = WORDS) -> Say:
    """Break the connection off after so many bytes of a stream, or half-way in a whole answer."""

    def say(path: str, body: bytes) -> bytes:
        head, _, data = well(path, body, words).partition(b"\r\n\r\n")
        data = data[: after if wants_stream(path, body) else len(data) // 2]
        length = head.index(b"content-length")
        head = head[:length] + b"transfer-encoding: chunked\r\n\r\n"
        return head + (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + b"broken\r\n"

    return say


@contextmanager
def routed(*servers: tuple[str, Loopback], **route: Any) -> Iterator[Route]:
    """A route over servers, each asked as a target of a dialect, or of a model."""
    targets = {}
    for place, (dialect, server) in enumerate(servers):
        base = "/v1beta" if dialect == "gemini" else ""
        key = {} if dialect == "ollama" else {"api_key": f"key{place}"}
        targets[f"t{place}"] = {
            "model": MODELS.get(dialect, dialect), "api_base": server.url + base,
            "retry": {"max_retries": 0}, **key,
        }  # fmt: skip
    data = {"targets": targets, "routes": {"r": {"targets": list(targets), **route}}}
    with Pilotlight(parse(data, "test"), registry=Registry()) as app:
        yield app.route("r")


def request(dialect: str, stream: bool, **more: Any) -> CallerRequest:
    body = dict(BODIES[dialect])
    if dialect == "gemini":
        more |= {"model": "gemini-2.5-flash", "stream": stream}
    elif stream or dialect == "ollama":
        body["stream"] = stream
    return CallerRequest(dialect, json.dumps(body | more.pop("body", {})).encode(), **more)


def exchange(route: Route, asked: CallerRequest, colour: str) -> tuple[Any, bytes, bool]:
    """Return the reply, its bytes, and whether its stream broke."""
    if colour == "sync":
        got, pieces = ask(route, asked), []
        try:
            pieces.extend(got)
        except BrokenStream:
            return got, b"".join(pieces), True
        return got, b"".join(pieces), False

    async def run() -> tuple[Any, bytes, bool]:
        got, pieces = await aask(route, asked), []
        try:
            async for piece in got:
                pieces.append(piece)
        except BrokenStream:
            return got, b"".join(pieces), True
        return got, b"".join(pieces), False

    return asyncio.run(run())


def text_in(dialect: str, body: bytes, stream: bool) -> str:
    """Read an answer as a caller of the dialect does."""
    api = dialect_named(dialect)
    if not stream:
        return api.read_answer(json.loads(body), Asked())["choices"][0]["message"]["content"]
    decoder: Any = LineDecoder() if dialect == "ollama" else EventDecoder()
    reader, text = api.reader(Asked()), ""
    for data in [*decoder.feed(body), *decoder.finish()]:
        chunks = reader.feed("[DONE]" if data == b"[DONE]" else json.loads(data))
        text += "".join(c["delta"].get("content") or "" for x in chunks for c in x["choices"])
    reader.finish()
    assert reader.ended
    return text
