"""The other direction: a caller who speaks Responses, answered from the pivot.

Source: OpenAI's API reference, POST /responses.
"""

from __future__ import annotations

from typing import Any, Final

from pilotlight.dialects.base import Json, Losses, Read
from pilotlight.dialects.fields import (
    count,
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
from pilotlight.dialects.history import own_form
from pilotlight.dialects.openai_responses.answer import read_message
from pilotlight.dialects.schema import is_closed

_SAME: Final = words(
    "model temperature top_p stream parallel_tool_calls metadata user safety_identifier"
    " prompt_cache_key prompt_cache_retention prompt_cache_options service_tier store top_logprobs"
    " previous_response_id conversation prompt truncation max_tool_calls context_management"
    " moderation background"
)
_READ: Final = words(
    "input instructions tools tool_choice max_output_tokens reasoning text include stream_options"
)
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")


def read_request(body: Any) -> Read:
    """Read a caller's request into the pivot.  Raises Unreadable, and nothing else."""
    body, losses = need_object(body, "the request"), Losses()
    request = {name: body[name] for name in _SAME if body.get(name) is not None}
    told = need_text(body, "instructions")
    system = [{"role": "developer", "content": told}] if told else []
    request["messages"] = [*system, *_messages(body)]
    request |= _tools(body, losses) | _shape(body)
    if (most := body.get("max_output_tokens")) is not None:
        request["max_completion_tokens"] = most
    if effort := text(part(body, "reasoning"), "effort"):
        request["reasoning_effort"] = effort
    if "message.output_text.logprobs" in (body.get("include") or ()):
        request["logprobs"] = True
    for name in body.keys() - _SAME - _READ:
        losses.add(name)
    return Read(request, losses.sorted())


def _messages(body: Json) -> list[Json]:
    given = body.get("input")
    if type(given) is str:
        return [{"role": "user", "content": given}] if given else []
    found: list[Json] = []
    spoken: list[Json] = []  # items of the assistant's that make one message
    for place, item in enumerate(need_objects(body, "input")):
        at = f"input[{place}]."
        kind = need_text(item, "type", at) or "message"
        role = need_name(item, "role", at) if kind == "message" else ""
        if kind in _RESULTS or role not in ("", "assistant"):
            found += _spoken(spoken)
            spoken = []
            found.append(_result(item, at) if kind in _RESULTS else _said(item, role, at))
        else:
            spoken.append({**item, "type": kind})
    return [*found, *_spoken(spoken)]


def _spoken(items: list[Json]) -> list[Json]:
    if not items:
        return []
    whole = []
    for item in items:
        content = item.get("content")
        if item["type"] == "message" and type(content) is str:
            whole.append({**item, "content": [{"type": "output_text", "text": content}]})
        else:
            whole.append(item)
    return [read_message(whole)]


def _said(item: Json, role: str, at: str) -> Json:
    content = item.get("content")
    if type(content) is str:
        return {"role": role, "content": content}
    return {"role": role, "content": _parts(need_objects(item, "content", at), at)}


def _result(item: Json, at: str) -> Json:
    output = item.get("output")
    if type(output) is not str:
        output = _parts(need_objects(item, "output", at), at)
    return {"role": "tool", "tool_call_id": need_name(item, "call_id", at), "content": output}


def _parts(given: list[Json], at: str) -> list[Json]:
    found: list[Json] = []
    for each in given:
        kind = need_name(each, "type", at)
        if kind == "input_text":
            found.append({"type": "text", "text": need_text(each, "text", at)})
        elif kind == "input_image" and (url := text(each, "image_url")):
            image = {"url": url, **present(detail=text(each, "detail"))}
            found.append({"type": "image_url", "image_url": image})
        elif kind == "input_file":
            file = {name: value for name, value in each.items() if name != "type"}
            found.append({"type": "file", "file": file})
        else:
            found.append(each)
    return found


def _tools(body: Json, losses: Losses) -> Json:
    tools = [_tool(tool, f"tools[{i}].") for i, tool in enumerate(need_objects(body, "tools"))]
    found: Json = {"tools": tools} if tools else {}
    choice: Any = body.get("tool_choice")
    if type(choice) is str:
        found["tool_choice"] = choice
    elif choice is not None:
        choice = need_object(choice, "tool_choice")
        kind = text(choice, "type") or ""
        inner: Json = {name: choice[name] for name in ("name", "mode", "tools") if name in choice}
        if kind in ("function", "custom"):
            need_name(choice, "name", "tool_choice.")
        if kind in ("function", "custom", "allowed_tools"):
            found["tool_choice"] = {"type": kind} | {kind: inner}
        else:
            losses.add("tool_choice")
    return found


def _tool(tool: Json, at: str) -> Json:
    kind = text(tool, "type") or ""
    if kind not in ("function", "custom"):
        return tool
    need_name(tool, "name", at)
    inner = {name: value for name, value in tool.items() if name != "type" and value is not None}
    if kind == "function":  # strict if it is not said, where it can be
        said = tool.get("strict")
        inner["strict"] = is_closed(tool.get("parameters")) if said is None else said is True
    return {"type": kind, kind: inner}


def _shape(body: Json) -> Json:
    said = need_part(body, "text")
    form = part(said, "format")
    found = present(verbosity=text(said, "verbosity"))
    if text(form, "type") == "json_object":
        found["response_format"] = form
    elif text(form, "type") == "json_schema":
        wrapped = {name: value for name, value in form.items() if name != "type"}
        found["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    return found


# Answers.


# A response repeats its request: the door puts there what was asked, where it is not this.
ECHOES: Final[Json] = {
    "object": "response", "tools": [], "tool_choice": "auto", "parallel_tool_calls": True
}  # fmt: skip


def write_answer(answer: Json) -> Json:
    """Write a whole answer of the pivot as a response; of its choices the first."""
    choice = (answer.get("choices") or [{}])[0]
    return {
        "id": answer["id"],
        "created_at": answer["created"],
        "model": answer["model"],
        **ECHOES,
        "output": items_of(part(choice, "message"), answer["id"]),
        **ending_of(choice),
        "usage": usage_from(part(answer, "usage")),
    }


def items_of(message: Json, answer_id: str) -> list[Json]:
    """Return what the assistant says as items."""
    own = own_form(message, "openai_responses")
    if own is not None:
        return own
    found: list[Json] = []
    if thought := text(message, "reasoning_content"):
        summary = [{"type": "summary_text", "text": thought}]
        found.append({"type": "reasoning", "id": f"rs_{answer_id}", "summary": summary})
    content: list[Json] = []
    if said := text(message, "content"):
        cited = [flat_citation(each) for each in objects(message, "annotations")]
        content.append({"type": "output_text", "text": said, "annotations": cited, "logprobs": []})
    if refusal := text(message, "refusal"):
        content.append({"type": "refusal", "refusal": refusal})
    if content:
        found.append(message_item(answer_id, content))
    return [*found, *(call_item(call) for call in objects(message, "tool_calls"))]


def message_item(answer_id: str, content: list[Json]) -> Json:
    """Return the item of what is said to the user."""
    head = {"type": "message", "id": f"msg_{answer_id}", "role": "assistant"}
    return {**head, "status": "completed", "content": content}


def call_item(call: Json) -> Json:
    """Return the item of a call."""
    call_id = text(call, "id") or ""
    head = {"id": f"fc_{call_id}", "call_id": call_id, "status": "completed"}
    if own := part(call, "custom"):
        given = {"name": text(own, "name") or "", "input": text(own, "input") or ""}
        return {"type": "custom_tool_call", **head, **given}
    function = part(call, "function")
    named = {"name": text(function, "name") or "", "arguments": text(function, "arguments") or ""}
    return {"type": "function_call", **head, **named}


def flat_citation(annotation: Json) -> Json:
    """Return a citation of chat completions as this API has it."""
    inner = part(annotation, "url_citation")
    return {"type": "url_citation", **inner} if inner else annotation


_CUT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def ending_of(choice: Json) -> Json:
    """Return why it ended."""
    reason = _CUT.get(text(choice, "finish_reason") or "")
    if reason is None:
        return {"status": "completed", "incomplete_details": None, "error": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}, "error": None}


def usage_from(usage: Json) -> Json:
    """Return the tokens by this API's names."""
    prompt, said = count(usage, "prompt_tokens") or 0, count(usage, "completion_tokens") or 0
    cached = count(part(usage, "prompt_tokens_details"), "cached_tokens") or 0
    thought = count(part(usage, "completion_tokens_details"), "reasoning_tokens") or 0
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + said,
    }
