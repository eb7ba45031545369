"""The other direction: a caller who speaks Messages, answered from the pivot.

Source: Anthropic's API reference, POST /v1/messages, and its page on streaming.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.dialects.anthropic_messages.answer import read_message
from pilotlight.dialects.base import Asked, Json, Losses, Read, Refusal
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
from pilotlight.dialects.history import arguments_of, own_form
from pilotlight.dialects.schema import is_closed

_SAME: Final = words(
    "model max_tokens temperature top_p top_k stream thinking container context_management"
    " mcp_servers inference_geo speed cache_control diagnostics user_profile_id service_tier"
)
_MODES: Final = {"auto": "auto", "any": "required", "none": "none"}
_FUNCTION: Final = words("name description input_schema strict cache_control type")


def read_request(body: Any) -> Read:
    """Read a caller's request into the pivot.  Raises Unreadable, and nothing else."""
    body, losses = need_object(body, "the request"), Losses()
    messages = _system(body)
    for place, message in enumerate(need_objects(body, "messages")):
        at = f"messages[{place}]."
        role = need_name(message, "role", at)
        content = message.get("content")
        if (said := _plain(content)) is not None and role == "assistant":
            messages.append({"role": role, "content": said})
            continue
        plain = [{"type": "text", "text": content}] if type(content) is str else None
        blocks = plain or need_objects(message, "content", at)
        for number, block in enumerate(blocks):
            need_name(block, "type", f"{at}content[{number}].")
        if role == "assistant":
            messages.append(read_message(blocks, Asked()))
        elif plain is not None:
            messages.append({"role": role, "content": content})
        else:
            messages += _user(role, blocks, at)
    request = {name: body[name] for name in _SAME if body.get(name) is not None}
    request["messages"] = messages
    request |= _tools(body, losses) | _shape(body)
    if stop := body.get("stop_sequences"):
        request["stop"] = stop
    if user := text(part(body, "metadata"), "user_id"):
        request["user"] = user
    for name in body.keys() - _SAME - _READ:
        losses.add(name)
    return Read(request, losses.sorted())


def _plain(content: Any) -> str | None:
    """Return what an assistant says in one plain text; None for all else."""
    if type(content) is not list or len(content) != 1 or type(block := content[0]) is not dict:
        return None
    bare = len(block) == 2 and block.get("type") == "text"
    return text(block, "text") if bare else None


_READ: Final = words(
    "messages system tools tool_choice stop_sequences metadata output_config output_format"
)


def _system(body: Json) -> list[Json]:
    given = body.get("system")
    if type(given) is str:
        return [{"role": "system", "content": given}] if given else []
    blocks = need_objects(body, "system")
    return [{"role": "system", "content": blocks}] if blocks else []


def _user(role: str, blocks: list[Json], at: str) -> list[Json]:
    """Return the results of tools, each a message of its own, and what else the user says."""
    results = [_result(block, at) for block in blocks if block["type"] == "tool_result"]
    said = [_part(block, at) for block in blocks if block["type"] != "tool_result"]
    return [*results, *([{"role": role, "content": said}] if said else [])]


def _result(block: Json, at: str) -> Json:
    content = block.get("content")
    if type(content) is not str:
        parts = need_objects(block, "content", f"{at}tool_result.")
        for each in parts:
            need_name(each, "type", f"{at}tool_result.")
        content = [_part(each, at) for each in parts] or ""
    marks = present(cache_control=part(block, "cache_control") or None)
    if block.get("is_error") is True:
        marks["is_error"] = True
    call_id = need_name(block, "tool_use_id", f"{at}tool_result.")
    return {"role": "tool", "tool_call_id": call_id, "content": content, **marks}


def _part(block: Json, at: str) -> Json:
    """Return a block as a part of the pivot; one that only Anthropic knows as it is."""
    kind, source = block["type"], part(block, "source")
    marks = present(cache_control=part(block, "cache_control") or None)
    where = f"{at}source."
    held = text(source, "type") in ("base64", "url", "text")
    if kind not in ("image", "document") or not held or _is_special(block):
        return block
    if text(source, "type") == "url":
        url = need_name(source, "url", where)
    else:
        media = need_text(source, "media_type", where) or "image/png"
        data = need_text(source, "data", where)
        url = f"data:{media};base64,{data}" if source["type"] == "base64" else _as_uri(data)
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}, **marks}
    name = present(filename=text(block, "title"))
    address = {"file_url": url} if text(source, "type") == "url" else {"file_data": url}
    return {"type": "file", "file": {**address, **name}, **marks}


def _is_special(block: Json) -> bool:
    return bool(block.get("citations") or block.get("context"))


def _as_uri(said: str) -> str:
    data = base64.b64encode(said.encode("utf-8", "replace")).decode("ascii")
    return f"data:text/plain;base64,{data}"


def _tools(body: Json, losses: Losses) -> Json:
    tools = []
    for place, tool in enumerate(need_objects(body, "tools")):
        if type(schema := tool.get("input_schema")) is not dict:
            tools.append(tool)
            continue
        for name in tool.keys() - _FUNCTION:
            losses.add(name)
        function: Json = {"name": need_name(tool, "name", f"tools[{place}]."), "parameters": schema}
        function |= present(description=text(tool, "description"))
        if tool.get("strict") is True and is_closed(schema):
            function["strict"] = True
        elif tool.get("strict") is True:
            losses.add("strict")
        marks = present(cache_control=part(tool, "cache_control") or None)
        tools.append({"type": "function", "function": function, **marks})
    found: Json = {"tools": tools} if tools else {}
    choice = need_part(body, "tool_choice")
    kind = text(choice, "type") or ""
    if kind == "tool":
        named = {"name": need_name(choice, "name", "tool_choice.")}
        found["tool_choice"] = {"type": "function", "function": named}
    elif kind in _MODES:
        found["tool_choice"] = _MODES[kind]
    if choice.get("disable_parallel_tool_use") is True:
        found["parallel_tool_calls"] = False
    return found


def _shape(body: Json) -> Json:
    config = need_part(body, "output_config")
    form = part(config, "format") or part(body, "output_format")
    found = present(reasoning_effort=text(config, "effort"))
    if schema := part(form, "schema"):
        wrapped = {"name": "response", "schema": schema, "strict": is_closed(schema)}
        found["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    return found


# Answers.

_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def write_answer(answer: Json) -> Json:
    """Write a whole answer of the pivot as Anthropic would say it; of its choices the first."""
    choices = answer.get("choices") or [{}]
    message = part(choices[0], "message")
    return {
        "id": answer["id"],
        "type": "message",
        "role": "assistant",
        "model": answer["model"],
        "content": _blocks(message),
        **ending_of(choices[0]),
        "usage": usage_from(part(answer, "usage")),
    }


def _blocks(message: Json) -> list[Json]:
    own = own_form(message, "anthropic_messages")
    if own is not None:
        return own
    said = text(message, "content") or text(message, "refusal")
    thoughts = objects(message, "thinking_blocks")
    if not thoughts and (thought := text(message, "reasoning_content")):
        thoughts = [{"type": "thinking", "thinking": thought, "signature": ""}]
    calls = [
        {
            "type": "tool_use",
            "id": text(call, "id") or "",
            "name": text(part(call, "function"), "name") or text(part(call, "custom"), "name"),
            "input": arguments_of(call, Losses()),
        }
        for call in objects(message, "tool_calls")
    ]
    return [*thoughts, *([{"type": "text", "text": said}] if said else []), *calls]


def ending_of(choice: Json) -> Json:
    """Return why it ended: in Anthropic's own word, where it was Anthropic's."""
    told = part(choice, "provider_specific_fields")
    finish = text(choice, "finish_reason")
    reason = text(told, "stop_reason") or _REASONS.get(finish or "", finish)
    return {"stop_reason": reason, "stop_sequence": text(told, "stop_sequence")}


def usage_from(usage: Json) -> Json:
    """Return the tokens: what came out of the cache counts beside the others there."""
    read = count(part(usage, "prompt_tokens_details"), "cached_tokens") or 0
    made = count(usage, "cache_creation_input_tokens") or 0
    thought = count(part(usage, "completion_tokens_details"), "reasoning_tokens") or 0
    return {
        "input_tokens": max(0, (count(usage, "prompt_tokens") or 0) - read - made),
        "cache_creation_input_tokens": made,
        "cache_read_input_tokens": read,
        "output_tokens": count(usage, "completion_tokens") or 0,
        **({"output_tokens_details": {"thinking_tokens": thought}} if thought else {}),
    }


def write_refusal(refusal: Refusal) -> Json:
    """Write an error as Anthropic would say it, in a body or as an event of a stream."""
    error = {"type": refusal.kind or "api_error", "message": refusal.message}
    return {"type": "error", "error": error}
