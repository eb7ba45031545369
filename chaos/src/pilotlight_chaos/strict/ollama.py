"""What Ollama refuses: what its Go structs can't hold.

It looks at no order and at no id: templates render what there is.  One thing is checked that no
server says, because it answers in silence as if nothing were wrong: a result that names no tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..dialects.base import obj
from ..http import Reply
from ..wording import ollama as wording
from .rule import Broken, Posted, Rule, among, is_base64, text

_GO = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def reply(broken: Broken) -> Reply:
    return wording.error(broken.status, broken.message)


def unfit(value: Any, at: str, kind: str) -> Broken:
    found = _GO.get(type(value), "value")
    return Broken(f"json: cannot unmarshal {found} into Go struct field {at} of type {kind}")


TEXTS = ("role", "content", "thinking", "tool_name", "tool_call_id")


def messages(posted: Posted) -> Iterator[Broken]:
    for i, message in among(posted.body, "messages"):
        for name in TEXTS:
            if not isinstance(value := message.get(name, ""), str):
                yield unfit(value, f"ChatRequest.messages.{name}", "string")
        images = message.get("images") or []
        if not isinstance(images, list):
            yield unfit(images, "ChatRequest.messages.images", "[]api.ImageData")
            continue
        for image in images:
            if not isinstance(image, str) or not is_base64(image):
                yield Broken("illegal base64 data at input byte 0")
        if message.get("role") == "tool" and not text(message, "tool_name"):
            yield Broken(f"messages[{i}]: a tool's result has no tool_name")


def calls(posted: Posted) -> Iterator[Broken]:
    for _, message in among(posted.body, "messages"):
        for _, call in among(message, "tool_calls"):
            function = obj(call.get("function"))
            if not isinstance(call.get("id", ""), str):
                yield unfit(call["id"], "ChatRequest.messages.tool_calls.id", "string")
            if not isinstance(given := function.get("arguments"), dict):
                kind = "api.ToolCallFunctionArguments"
                at = "ChatRequest.messages.tool_calls.function.arguments"
                yield unfit(given, at, kind)
            if not text(function, "name"):
                yield Broken("a tool call has no name")


def tools(posted: Posted) -> Iterator[Broken]:
    for _, tool in among(posted.body, "tools"):
        function = obj(tool.get("function"))
        schema = function.get("parameters")
        at = "ToolFunctionParameters.tools.function.parameters"
        if not isinstance(schema, dict):
            yield unfit(schema, f"{at}", "api.ToolFunctionParameters")
            continue
        if not isinstance(kind := schema.get("type", ""), str):
            yield unfit(kind, f"{at}.type", "string")
        yield from _properties(schema, at)


def _properties(schema: Any, at: str) -> Iterator[Broken]:
    required = schema.get("required")
    if required is not None and not isinstance(required, list):
        yield unfit(required, f"{at}.required", "[]string")
    inner = schema.get("properties")
    if inner is not None and not isinstance(inner, dict):
        yield unfit(inner, f"{at}.properties", "map[string]api.ToolProperty")
    for each in inner.values() if isinstance(inner, dict) else ():
        if not isinstance(each, dict):
            yield unfit(each, f"{at}.properties", "api.ToolProperty")
            continue
        if not isinstance(said := each.get("description", ""), str):
            yield unfit(said, f"{at}.properties.description", "string")
        if not isinstance(given := each.get("enum") or [], list):
            yield unfit(given, f"{at}.properties.enum", "[]interface {}")
        yield from _properties(each, at)


def options(posted: Posted) -> Iterator[Broken]:
    options = posted.body.get("options")
    if options is not None and not isinstance(options, dict):
        yield unfit(options, "ChatRequest.options", "map[string]interface {}")
    stop = obj(options).get("stop") or []
    if not isinstance(stop, list):
        yield Broken('option "stop" must be of type array', status=500)


RULES = (
    Rule("messages are texts, pictures base64, and results name their tool",
         "ollama/ollama api/types.go, Message", messages),
    Rule("arguments of calls are objects", "aliasrobotics/cai#76", calls),
    Rule("parameters of tools have one type, properties that are objects, a list of the required",
         "ollama/ollama#18051, can1357/oh-my-pi#4488", tools),
    Rule("options are an object, stop sequences a list", "ollama/ollama api/types.go, Options",
         options),
)  # fmt: skip
