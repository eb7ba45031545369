"""What is said, whichever way it came: chunks put together again, and events cut anew."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pilotlight.dialects.base import Asked

ASKED = Asked(model="asked-for", id="answer-1", created=1_700_000_000)
RECORDED = Path(__file__).parents[3] / "shared" / "recorded"


def recorded(wire: str, name: str = "chats", op: str = "chat") -> list[dict[str, Any]]:
    """Return the recorded answers of one wire; none where the recordings are not there."""
    file = RECORDED / f"{name}.jsonl.gz"
    if not file.exists():
        return []
    lines = map(json.loads, gzip.open(file, "rt"))
    return [d for d in lines if d["wire"] == wire and d["op"] == op and d["status"] < 300]


def events(body: str) -> Iterator[Any]:
    """Yield the JSON of an event stream, each of one line as all providers send it."""
    for line in body.splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            yield json.loads(line[5:])


def chunks_of(reader: Any, said: Iterable[Any]) -> list[Any]:
    chunks = [chunk for event in said for chunk in reader.feed(event)]
    return [*chunks, *reader.finish()]


def joined(chunks: list[Any]) -> Any:
    """Return the answer that chunks are the pieces of."""
    choices: dict[int, Any] = {}
    answer: dict[str, Any] = {}
    for chunk in chunks:
        answer |= {"id": chunk["id"], "created": chunk["created"], "model": chunk["model"]}
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
        for choice in chunk["choices"]:
            index = choice["index"]
            whole = choices.setdefault(
                index, {"index": index, "message": {}, "finish_reason": None}
            )
            for name, value in choice.items():
                if name == "delta":
                    _add(whole["message"], value)
                elif name == "logprobs" and value:
                    old = whole.setdefault("logprobs", {"content": []})
                    old["content"] = [*old["content"], *(value.get("content") or ())]
                elif value is not None:
                    whole[name] = value
    for choice in choices.values():
        message = choice["message"]
        if calls := message.get("tool_calls"):
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
            message["content"] = message.get("content") or None
    return {**answer, "object": "chat.completion", "choices": [choices[i] for i in sorted(choices)]}


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls":
            for call in value:
                _add_call(message.setdefault(name, {}), call)
        elif name == "role":
            message[name] = value
        elif isinstance(value, str | list):
            message[name] = message.get(name, type(value)()) + value
        elif isinstance(value, dict):
            message[name] = {**message.get(name, {}), **value}


def _add_call(calls: dict[int, Any], call: dict[str, Any]) -> None:
    known = calls.setdefault(call["index"], {})
    for name, value in call.items():
        if name in _PIECES:
            said, old = _PIECES[name], known.get(name, {})
            known[name] = {**old, **value, said: old.get(said, "") + (value.get(said) or "")}
        elif name != "index":
            known[name] = value


_PIECES = {"function": "arguments", "custom": "input"}


@st.composite
def cut(draw: Any, text: str) -> list[str]:
    """Cut a text anywhere; the pieces may be empty."""
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
