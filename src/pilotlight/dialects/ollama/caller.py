"""The other direction: a caller who speaks Ollama's /api/chat, answered from the pivot.

Times of day are the door's: it adds `created_at`.

Source: Ollama's API reference, v0.33.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Read, Refusal
from pilotlight.dialects.fields import (
    count,
    dumps,
    need_name,
    need_object,
    need_objects,
    need_part,
    need_text,
    objects,
    part,
    present,
    text,
    words,
)
from pilotlight.dialects.history import arguments_of
from pilotlight.dialects.ollama.request import OPTIONS
from pilotlight.dialects.shape import Calls, call_of

_TOP: Final = words("model stream keep_alive logprobs top_logprobs tools")
_READ: Final = words("messages format think options truncate shift")
_THINK: Final[Mapping[Any, str]] = {False: "none", True: "medium", "max": "max"}
_RENAMED: Final = {"num_predict": "max_tokens", "stop": "stop"}


def read_request(body: Any) -> Read:
    """Read a caller's request into the pivot.  Raises Unreadable, and nothing else."""
    body, losses = need_object(body, "the request"), Losses()
    request = {name: body[name] for name in _TOP if body.get(name) is not None}
    request.setdefault("stream", True)  # unless it is said otherwise
    request["messages"] = _messages(need_objects(body, "messages"))
    for name, value in need_part(body, "options").items():
        if name in OPTIONS or name in _RENAMED:
            request[_RENAMED.get(name, name)] = value
        else:
            losses.add(name)
    if isinstance(think := body.get("think"), bool | str):
        request["reasoning_effort"] = _THINK.get(think, think)
    form = body.get("format")
    if type(form) is dict:
        wrapped = {"name": "response", "schema": form}
        request["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    elif form == "json":
        request["response_format"] = {"type": "json_object"}
    for name in body.keys() - _TOP - _READ:
        losses.add(name)
    return Read(request, losses.sorted())


def _messages(given: list[Json]) -> list[Json]:
    """Return the messages; a result without an id belongs to the next call of its tool."""
    found = []
    waiting: list[tuple[str, str]] = []  # calls without a result: name and id
    for place, message in enumerate(given):
        at = f"messages[{place}]."
        said: Json = {"role": need_name(message, "role", at)}
        said["content"] = _content(message, at)
        said |= present(reasoning_content=text(message, "thinking") or None)
        calls = [
            _call(call, f"call_{place}_{order}", f"{at}tool_calls.")
            for order, call in enumerate(need_objects(message, "tool_calls", at))
        ]
        if calls:
            said["tool_calls"] = calls
            waiting += [(call["function"]["name"], call["id"]) for call in calls]
        if said["role"] == "tool":
            said["tool_call_id"] = _answered(message, waiting)
        found.append(said)
    return found


def _answered(message: Json, waiting: list[tuple[str, str]]) -> str:
    name = text(message, "tool_name")
    made = next((call_id for called, call_id in waiting if name in (None, called)), "call_0")
    call_id = text(message, "tool_call_id") or made
    waiting[:] = [each for each in waiting if each[1] != call_id]
    return call_id


def _content(message: Json, at: str) -> Any:
    said = need_text(message, "content", at)
    images = message.get("images")
    if type(images) is not list or not images:
        return said
    shown = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
        for image in images
    ]
    return [*([{"type": "text", "text": said}] if said else []), *shown]


def _call(call: Json, made: str, at: str) -> Json:
    function = need_part(call, "function", at)
    arguments = dumps(need_part(function, "arguments", f"{at}function."))
    return call_of(text(call, "id") or made, need_name(function, "name", at), arguments)


# Answers.


def write_answer(answer: Json) -> Json:
    """Write a whole answer of the pivot as Ollama would say it; of its choices the first."""
    choice = (answer.get("choices") or [{}])[0]
    return {
        "model": answer["model"],
        "message": _said(part(choice, "message")),
        **_ending(choice, part(answer, "usage")),
    }


def _said(message: Json) -> Json:
    calls = []
    for place, call in enumerate(objects(message, "tool_calls")):
        function = part(call, "function") or part(call, "custom")
        arguments = arguments_of(call, Losses())
        named = {"index": place, "name": text(function, "name") or "", "arguments": arguments}
        calls.append({**present(id=text(call, "id")), "function": named})
    return {
        "role": "assistant",
        "content": text(message, "content") or text(message, "refusal") or "",
        **present(thinking=text(message, "reasoning_content") or None, tool_calls=calls or None),
    }


def _ending(choice: Json, usage: Json) -> Json:
    finish = text(choice, "finish_reason")
    return {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "prompt_eval_count": count(usage, "prompt_tokens") or 0,
        "eval_count": count(usage, "completion_tokens") or 0,
    }


def write_refusal(refusal: Refusal) -> Json:
    """Write an error as Ollama would say it."""
    return {"error": refusal.message}


class Writer:
    """Writes one stream, line by line; see `base.Writer`.  A call is told when it is whole."""

    def __init__(self) -> None:
        self._model = ""
        self._calls = Calls()
        self._choice: Json = {}
        self._usage: Json = {}

    def feed(self, chunk: Json) -> list[Json]:
        """Take the next chunk; return the lines that it makes."""
        self._model = text(chunk, "model") or self._model
        self._usage = part(chunk, "usage") or self._usage
        lines = []
        for choice in objects(chunk, "choices"):
            if choice.get("index", 0) != 0:
                continue
            delta = part(choice, "delta")
            for call in objects(delta, "tool_calls"):
                self._calls.add(call)
            if choice.get("finish_reason"):
                self._choice = choice
            said = _said({name: value for name, value in delta.items() if name != "tool_calls"})
            if said["content"] or "thinking" in said:
                lines.append({"model": self._model, "message": said, "done": False})
        return lines

    def finish(self) -> list[Json]:
        """Return the last line: there calls are whole, and the tokens known."""
        calls = self._calls.whole()
        ending = _ending(self._choice, self._usage)
        return [{"model": self._model, "message": _said({"tool_calls": calls}), **ending}]
