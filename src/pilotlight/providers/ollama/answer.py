"""Between Ollama's native `/api/chat` and OpenAI's shapes: pure functions, no I/O.

    body, dropped = chat_request("llama3.2", messages, options, stream=False, context=8192)
    completion_from(answer, model="llama3.2", created=..., id=...)     # one JSON object
    ChunkBuilder("llama3.2", created=..., id=...).feed(line)           # a stream, line by line

The way there is in `request.py`, the way back here.  Facts: Ollama API docs
and server source, v0.33.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from pilotlight.providers.ollama.loading import load_request
from pilotlight.providers.ollama.request import ChatRequest, UnsupportedInput, chat_request
from pilotlight.wire.field_types import count_in

__all__ = [
    "ChatRequest",
    "ChunkBuilder",
    "UnsupportedInput",
    "chat_request",
    "completion_from",
    "load_request",
    "loading_in",
]

Json = dict[str, Any]


def completion_from(body: Mapping[str, Any], *, model: str, created: int, id: str) -> Json:
    """Convert the one JSON object of a plain answer to OpenAI's shape.

    `finish_reason` is None unless the server said that it was done and why: an
    answer with `"done": false` was cut.  Counts that are absent mean 0.
    """
    message = _message(body)
    calls = [_tool_call(call) for call in _objects(message.get("tool_calls"))]
    reply: Json = {"role": "assistant", "content": _text(message, "content")}
    if thinking := _text(message, "thinking"):
        reply["reasoning_content"] = thinking
    if calls:
        reply |= {"content": reply["content"] or None, "tool_calls": calls}
    choice: Json = {"index": 0, "message": reply, "finish_reason": _finish(body, bool(calls))}
    choice |= _logprobs(body)
    head = {"id": id, "object": "chat.completion", "created": created, "model": model}
    return {
        **head,
        "system_fingerprint": "fp_ollama",
        "choices": [choice],
        "usage": _usage(body),
    }


class ChunkBuilder:
    """Turns the lines of one stream into OpenAI chunks, and remembers what was said.

    `done` is True only after the server's own last word: a stream that ran out
    before was cut, however clean its end.  `remote_host` is set when the model
    ran elsewhere: whatever its name, it was not local.
    """

    def __init__(
        self,
        model: str,
        *,
        created: int,
        id: str,
        include_usage: bool = False,
    ) -> None:
        self._head: Json = {"id": id, "object": "chat.completion.chunk", "created": created}
        self._head |= {"model": model, "system_fingerprint": "fp_ollama"}
        self._include_usage = include_usage
        self._begun = False
        self._texts: list[str] = []
        self._usage: Json | None = None
        self.tool_calls_seen = 0
        self.done = False
        self.done_reason: str | None = None
        self.finish_reason: str | None = None
        self.remote_host: str | None = None
        self.loading = 0.0
        self.error: str | None = None

    @property
    def text(self) -> str:
        """All content so far, without the reasoning."""
        return "".join(self._texts)

    @property
    def prompt_tokens(self) -> int | None:
        """Prompt tokens by the server's count; None until it is done."""
        return None if self._usage is None else int(self._usage["prompt_tokens"])

    @property
    def completion_tokens(self) -> int | None:
        """Generated tokens by the server's count; None until it is done."""
        return None if self._usage is None else int(self._usage["completion_tokens"])

    def feed(self, line: Mapping[str, Any]) -> Json | None:
        """Take the next line; return its chunk, or None if it has nothing to say.

        The last line may carry content and tool calls too, and so may its chunk.
        """
        self.remote_host = self.remote_host or line.get("remote_host") or None
        if line.get("error"):
            self.error = str(line["error"])
            return None
        delta = self._delta(_message(line))
        if line.get("done") is True:
            self._end(line)
        elif not delta:
            return None
        choice: Json = {"index": 0, "delta": delta, "finish_reason": self.finish_reason}
        if not self._begun:
            self._begun = True
            choice["delta"] = {"role": "assistant", "content": "", **delta}
        chunk = {**self._head, "choices": [choice | _logprobs(line)]}
        if self._usage and not self._include_usage:
            chunk["usage"] = self._usage
        return chunk

    def usage_chunk(self) -> Json | None:
        """Return the extra last chunk that `stream_options.include_usage` asks for.

        Shaped as litellm's is: with one empty choice, so that a loop which reads
        `chunk.choices[0]` survives it.  Without the option the usage rides on the
        chunk with the finish reason and this is None.
        """
        if not self._usage or not self._include_usage:
            return None
        choice = {"index": 0, "delta": {}, "finish_reason": None}
        return {**self._head, "choices": [choice], "usage": self._usage}

    def _delta(self, message: Mapping[str, Any]) -> Json:
        delta: Json = {}
        if content := _text(message, "content"):
            self._texts.append(content)
            delta["content"] = content
        if thinking := _text(message, "thinking"):
            delta["reasoning_content"] = thinking
        if calls := _objects(message.get("tool_calls")):
            first = self.tool_calls_seen
            self.tool_calls_seen += len(calls)
            delta["tool_calls"] = [
                {"index": first + place, **_tool_call(call)} for place, call in enumerate(calls)
            ]
        return delta

    def _end(self, line: Mapping[str, Any]) -> None:
        self.done = True
        self.done_reason = line.get("done_reason")
        self.finish_reason = _finish(line, self.tool_calls_seen > 0)
        self.loading = loading_in(line)
        self._usage = _usage(line)


def loading_in(said: Mapping[str, Any]) -> float:
    """Return the seconds until the server had the model; 0.0 where it does not say.

    From the arrival of the request, in nanoseconds: Ollama's API docs, `load_duration`.
    """
    return (count_in(said, "load_duration") or 0) / 1e9


def _message(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(body.get("message"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(message: Mapping[str, Any], key: str) -> str:
    text = message.get(key)
    return text if isinstance(text, str) else ""


def _tool_call(call: Mapping[str, Any]) -> Json:
    """Convert one call: Ollama's arguments are an object, and old servers give no id."""
    function = _mapping(call.get("function"))
    arguments = function.get("arguments") or {}
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return {
        "id": _text(call, "id") or f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": function.get("name") or "", "arguments": arguments},
    }


def _finish(body: Mapping[str, Any], called: bool) -> str | None:
    """Tool calls end with "stop" on the native API; "load" and "unload" are no answers."""
    reason = body.get("done_reason") if body.get("done") is True else None
    if reason == "stop":
        return "tool_calls" if called else "stop"
    return "length" if reason == "length" else None


def _usage(body: Mapping[str, Any]) -> Json:
    prompt, completion = count_in(body, "prompt_eval_count") or 0, count_in(body, "eval_count") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _logprobs(body: Mapping[str, Any]) -> Json:
    """Ollama's entries are OpenAI's, but leave out what is empty."""
    content = [
        {
            "bytes": None,
            **entry,
            "top_logprobs": [{"bytes": None, **top} for top in _objects(entry.get("top_logprobs"))],
        }
        for entry in _objects(body.get("logprobs"))
    ]
    return {"logprobs": {"content": content}} if content else {}
