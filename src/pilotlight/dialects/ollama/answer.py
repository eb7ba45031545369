"""Ollama's answers, whole or line by line, as answers and chunks of the pivot.

Source: Ollama's API reference and its server's source, v0.33.
"""

from __future__ import annotations

from typing import Any

from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    count,
    dumps,
    need_name,
    need_object,
    need_objects,
    need_part,
    need_text,
    objects,
    text,
)
from pilotlight.dialects.shape import Chunks, call_of, completion, usage_of


def read_answer(said: Any, asked: Asked) -> Json:
    """Read a whole answer.  Raises Unreadable, and nothing else."""
    said = need_object(said, "the answer")
    if "message" not in said:
        raise Unreadable("the answer has no message")
    delta = _delta(said, 0, asked)
    calls = [{n: v for n, v in c.items() if n != "index"} for c in delta.pop("tool_calls", ())]
    content = delta.pop("content", "") or (None if calls else "")
    message = {"role": "assistant", "content": content, **delta}
    message |= {"tool_calls": calls} if calls else {}
    choice = {"index": 0, "message": message, "finish_reason": _finish(said, bool(calls))}
    answer = completion(asked, None, text(said, "model"), [choice | _logprobs(said)])
    return answer | {"usage": _tokens(said)}


def _delta(said: Json, first: int, asked: Asked) -> Json:
    """Return what a line says; `first` is the place of its first call among all."""
    message = need_part(said, "message")
    spoken = {
        "content": need_text(message, "content", "message."),
        "reasoning_content": need_text(message, "thinking", "message."),
    }
    delta: Json = {name: value for name, value in spoken.items() if value}
    calls = []
    for place, call in enumerate(need_objects(message, "tool_calls", "message."), first):
        function = need_part(call, "function", "tool_calls.")
        name = need_name(function, "name", "tool_calls.function.")
        arguments = function.get("arguments")
        if type(arguments) is not str:
            arguments = dumps(need_part(function, "arguments", "tool_calls.function."))
        call_id = text(call, "id") or f"call_{asked.id}_{place}"
        calls.append({"index": place, **call_of(call_id, asked.names.get(name, name), arguments)})
    return delta | ({"tool_calls": calls} if calls else {})


def _finish(said: Json, called: bool) -> str | None:
    """Tool calls end with "stop" there; "load" and "unload" are no answers."""
    reason = said.get("done_reason") if said.get("done") is True else None
    if reason == "stop":
        return "tool_calls" if called else "stop"
    return "length" if reason == "length" else None


def _tokens(said: Json) -> Json:
    return usage_of(count(said, "prompt_eval_count") or 0, count(said, "eval_count") or 0)


def _logprobs(said: Json) -> Json:
    """Ollama's entries are OpenAI's, but leave out what is empty."""
    content = [
        {
            "bytes": None,
            **entry,
            "top_logprobs": [{"bytes": None, **top} for top in objects(entry, "top_logprobs")],
        }
        for entry in objects(said, "logprobs")
    ]
    return {"logprobs": {"content": content}} if content else {}


class Reader:
    """Reads one stream, line by line; see `base.Reader`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._chunks = Chunks(asked)
        self._called = 0
        self.ended = False
        self.refusal: Refusal | None = None

    def feed(self, event: Any) -> list[Json]:
        """Take the next line.  Raises Unreadable, and nothing else, whatever it is given."""
        event = need_object(event, "a line")
        if self.ended or self.refusal is not None:
            return []
        if event.get("error"):
            self.refusal = read_refusal(event) or Refusal("")
            return []
        self._chunks.name(None, text(event, "model"))
        delta = _delta(event, self._called, self._asked)
        self._called += len(delta.get("tool_calls", ()))
        self.ended = event.get("done") is True
        finish = _finish(event, self._called > 0)
        if not (delta or self.ended):
            return []
        chunk = self._chunks.said(delta, finish=finish)
        chunk["choices"][0] |= _logprobs(event)
        return [chunk, self._chunks.counted(_tokens(event))] if self.ended else [chunk]

    def finish(self) -> list[Json]:
        """Take note that the stream is over; the last line has said everything."""
        return []


def read_refusal(said: Any) -> Refusal | None:
    """Read an error; None where it is none of Ollama's.  Never raises."""
    error = said.get("error") if type(said) is dict else None
    if type(error) is dict:  # of the server that Ollama runs
        return Refusal(text(error, "message") or "", text(error, "type"), count(error, "code"))
    return Refusal(error) if type(error) is str and error else None
