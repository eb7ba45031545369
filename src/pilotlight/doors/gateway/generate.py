"""Ollama's older `/api/generate`, by way of `/api/chat`: a prompt is one message.

Source: Ollama's API reference, v0.33.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from pilotlight.errors import InvalidCall

Json = dict[str, Any]

_SAME: Final = ("model", "stream", "format", "options", "think", "keep_alive")
_OTHER: Final = ("suffix", "template", "context", "raw")


def as_chat(body: Json) -> Json:
    """Return a request of `/api/generate` as one of `/api/chat`; raises InvalidCall."""
    for name in _OTHER:
        if body.get(name):
            raise InvalidCall(f"{name}: has no meaning for a route of several models; leave it out")
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise InvalidCall("prompt: give a text")
    message: Json = {"role": "user", "content": prompt}
    if body.get("images"):
        message["images"] = body["images"]
    system = body.get("system")
    told = [{"role": "system", "content": system}] if system else []
    same: Json = {name: body[name] for name in _SAME if name in body}
    return {**same, "messages": [*told, message]}


def as_generated(line: bytes) -> bytes:
    """Return one answer of `/api/chat`, or one line of its stream, as `/api/generate` has it."""
    said = json.loads(line)
    if isinstance(said, dict) and isinstance(message := said.pop("message", None), dict):
        said["response"] = message.get("content", "")
        if "thinking" in message:
            said["thinking"] = message["thinking"]
    return json.dumps(said, ensure_ascii=False).encode()


async def generated(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream as `/api/generate` has them, however they are cut."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        told = [as_generated(line) + b"\n" for line in lines if line.strip()]
        if told:
            yield b"".join(told)
    if rest.strip():
        yield as_generated(rest)
