"""OpenAI's response object as an answer of the pivot.

What the pivot holds by itself are text, refusals and calls.  Reasoning, and what OpenAI's own
tools have done, stay in their items beside it, and go back to this API alone.

Source: OpenAI's API reference, the response object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.dialects.base import Asked, Json, Refusal, Unreadable
from pilotlight.dialects.fields import (
    count,
    need_name,
    need_object,
    need_objects,
    need_text,
    objects,
    part,
    text,
)
from pilotlight.dialects.history import OWN, keep
from pilotlight.dialects.shape import call_of, completion, usage_of

KEPT: Final = OWN["openai_responses"]
NO_NAMES: Final[Mapping[str, str]] = {}
BREAK: Final = "\n\n"  # between the parts of a thought
_FINISHES: Final[Mapping[str, str]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
_HELD: Final = ("message", "function_call", "custom_tool_call")  # by the pivot


def read_answer(said: Any, asked: Asked) -> Json:
    """Read a whole answer.  Raises Unreadable, and nothing else."""
    said = need_object(said, "the answer")
    if "output" not in said:
        raise Unreadable("the answer has no output")
    if text(said, "status") == "failed":
        raise Unreadable("the answer is a failure")
    items = need_objects(said, "output")
    message = read_message(items, asked.names)
    choice: Json = {
        "index": 0,
        "message": message,
        "finish_reason": finish_of(said, "tool_calls" in message),
    }
    if logprobs := [each for item in items for each in _logprobs(item)]:
        choice["logprobs"] = {"content": logprobs, "refusal": None}
    answer = completion(asked, text(said, "id"), text(said, "model"), [choice])
    made = count(said, "created_at")
    return {
        **answer,
        "created": answer["created"] if made is None else made,
        "usage": tokens(part(said, "usage")),
    }


def finish_of(said: Json, called: bool) -> str | None:
    """Return why a response ended; None while it is not whole, or was cancelled."""
    status = need_text(said, "status") or "completed"
    if status in ("completed", "complete"):  # some servers say the latter
        return "tool_calls" if called else "stop"
    if status != "incomplete":
        return None
    reason = text(part(said, "incomplete_details"), "reason") or "length"
    return _FINISHES.get(reason, reason)


def read_message(items: Sequence[Json], names: Mapping[str, str] = NO_NAMES) -> Json:
    """Read what the model says; `names` are the caller's of renamed tools.  Raises Unreadable."""
    spoken: dict[str, list[str]] = {"output_text": [], "refusal": []}
    thoughts: list[str] = []
    calls: list[Json] = []
    more: Json = {}
    for place, item in enumerate(items):
        at = f"output[{place}]."
        kind = need_name(item, "type", at)
        if kind == "message":
            for number, each in enumerate(need_objects(item, "content", at)):
                _hear(each, f"{at}content[{number}].", spoken, more)
        elif kind == "reasoning":
            thoughts += thoughts_in(item, at)
        elif kind in _HELD:
            calls.append(call_in(item, at, names))
        elif kind == "image_generation_call" and (data := need_text(item, "result", at)):
            image = {"url": f"data:image/{text(item, 'output_format') or 'png'};base64,{data}"}
            more.setdefault("images", []).append({"type": "image_url", "image_url": image})
    said = "".join(spoken["output_text"])
    message: Json = {"role": "assistant", "content": said or (None if calls else "")}
    if refusal := "".join(spoken["refusal"]):
        message["refusal"] = refusal
    if thought := BREAK.join(thoughts):
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return message | more | kept(items)


def kept(items: Sequence[Json]) -> Json:
    """Return the field that keeps the items, where the pivot can't hold what they say."""
    own = any(item.get("type") not in _HELD for item in items)
    return keep({KEPT: list(items)}) if own else {}


def _hear(said: Json, at: str, spoken: dict[str, list[str]], more: Json) -> None:
    kind = text(said, "type")
    if kind == "output_text":
        spoken[kind].append(need_text(said, "text", at))
        if cited := [annotation(each) for each in objects(said, "annotations")]:
            more["annotations"] = [*more.get("annotations", ()), *cited]
    elif kind == "refusal":
        spoken[kind].append(need_text(said, "refusal", at))


def annotation(given: Json) -> Json:
    """Return a citation as chat completions have it."""
    if text(given, "type") != "url_citation":
        return given
    inner = {name: value for name, value in given.items() if name != "type"}
    return {"type": "url_citation", "url_citation": inner}


def thoughts_in(item: Json, at: str) -> list[str]:
    """Return the parts of a thought: of its summary, or of open reasoning itself."""
    parts = need_objects(item, "summary", at) or need_objects(item, "content", at)
    return [said for each in parts if (said := need_text(each, "text", at))]


def call_in(item: Json, at: str, names: Mapping[str, str] = NO_NAMES) -> Json:
    """Return a call of a function, or of a tool that takes a text."""
    name, call_id = need_name(item, "name", at), need_name(item, "call_id", at)
    name = names.get(name, name)
    if item["type"] == "function_call":
        return call_of(call_id, name, need_text(item, "arguments", at))
    own = {"name": name, "input": need_text(item, "input", at)}
    return {"id": call_id, "type": "custom", "custom": own}


def _logprobs(item: Json) -> list[Json]:
    return [each for said in objects(item, "content") for each in objects(said, "logprobs")]


def tokens(usage: Json) -> Json:
    """Return the tokens."""
    return usage_of(
        count(usage, "input_tokens") or 0,
        count(usage, "output_tokens") or 0,
        cached=count(part(usage, "input_tokens_details"), "cached_tokens") or 0,
        reasoning=count(part(usage, "output_tokens_details"), "reasoning_tokens") or 0,
    )


def read_refusal(said: Any) -> Refusal | None:
    """Read an error; None where it is none of OpenAI's.  Never raises."""
    error = part(said, "error")
    if not error and text(said, "type") == "error":
        error = said  # as an event of a stream
    if not error:
        return None
    return Refusal(text(error, "message") or "", text(error, "code") or text(error, "type"), None)
