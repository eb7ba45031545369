"""The tools of a request as OpenAI takes them, and the choice among them.

Source: OpenAI's API reference, POST /chat/completions, `tools` and `tool_choice`.
"""

from __future__ import annotations

from typing import Any, Final

from pilotlight.dialects import pivot
from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import objects, part, text
from pilotlight.dialects.history import OPENAI_NAMES, tool_name
from pilotlight.dialects.openai_chat.manners import Manner

KINDS: Final = ("function", "custom")
_IDLE: Final = ("auto", "none")


def put_tools(body: Json, losses: Losses, manner: Manner) -> dict[str, str]:
    """Put the tools in order; return the caller's name of each that has another there."""
    tools = body.get("tools")
    if tools is not None and (
        type(tools) is not list or not all(type(tool) is dict for tool in tools)
    ):
        raise Unable("tools is no list of objects")
    found = [tool for given in tools or () if (tool := _tool(given, losses, manner))]
    if not found:
        _without(body, tools is None)
        return {}
    body["tools"] = found
    if manner.options is None:
        return {}
    names = {}
    for place, tool in enumerate(found):
        found[place] = fitted = renamed(tool)
        if fitted is not tool:
            names[name_of(fitted)] = name_of(tool)
    if type(choice := body.get("tool_choice")) is dict:
        body["tool_choice"] = _choice(choice)
    return names


def _without(body: Json, untold: bool) -> None:
    """Leave out what is said about tools where there are none."""
    body.pop("tools", None)
    if not untold or body.get("tool_choice") in _IDLE:
        body.pop("tool_choice", None)
    if "functions" not in body:
        body.pop("parallel_tool_calls", None)


def _tool(tool: Json, losses: Losses, manner: Manner) -> Json | None:
    open_ = manner.options is None and pivot.vendor_of(tool) == "openai"
    if open_ or text(tool, "type") in KINDS or "function" in tool:
        marked = tool if manner.cache_marks else unmarked(tool, losses)
        return marked if open_ or marked.get("type") else {"type": "function", **marked}
    if type(schema := tool.get("input_schema")) is dict and text(tool, "name"):
        function = {"name": tool["name"], "parameters": schema}
        described = {n: tool[n] for n in ("description", "strict") if tool.get(n)}
        return {"type": "function", "function": {**function, **described}}
    pivot.lose_tool(tool, losses)
    return None


def unmarked(given: Json, losses: Losses) -> Json:
    """Return a part or a tool without a cache mark; OpenAI caches without being told."""
    if "cache_control" not in given:
        return given
    if given["cache_control"] is not None:
        losses.add("cache_control")
    return {name: value for name, value in given.items() if name != "cache_control"}


def name_of(thing: Json) -> str:
    """Return the name of a tool, or of a call."""
    return text(part(thing, "function") or part(thing, "custom"), "name") or ""


def renamed(thing: Json) -> Json:
    """Return a tool, a choice or a call by a name that OpenAI takes; the same if it has one."""
    name = name_of(thing)
    if not name or OPENAI_NAMES.fullmatch(name):
        return thing
    kind = "function" if part(thing, "function") else "custom"
    return {**thing, kind: {**thing[kind], "name": tool_name(name, OPENAI_NAMES)}}


def _choice(choice: Json) -> Json:
    allowed: Any = part(choice, "allowed_tools")
    if not allowed:
        return renamed(choice)
    tools = [renamed(each) for each in objects(allowed, "tools")]
    return {**choice, "allowed_tools": {**allowed, "tools": tools}}
