"""The tools of a request as Anthropic takes them, and which of them must be called.

Source: Anthropic's API reference, POST /v1/messages, `tools` and `tool_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pilotlight.dialects import pivot
from pilotlight.dialects.anthropic_messages.models import Traits
from pilotlight.dialects.anthropic_messages.turns import NAMES
from pilotlight.dialects.base import Json, Losses
from pilotlight.dialects.fields import part, present, text, words
from pilotlight.dialects.history import tool_name
from pilotlight.dialects.pivot import Choice, Function, Request
from pilotlight.dialects.schema import narrowed

FORCES: Final = ("any", "tool")
_UNKNOWN_KEYWORDS: Final = words(
    "minItems maxItems uniqueItems contains minContains maxContains prefixItems minimum maximum"
    " exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minProperties maxProperties"
    " patternProperties propertyNames dependentRequired dependentSchemas unevaluatedProperties"
    " if then else not"
)


# The kinds of Anthropic's own tools that a beta header has to announce.
_BETAS: Final[Mapping[str, str]] = {
    "computer_20241022": "computer-use-2024-10-22",
    "bash_20241022": "computer-use-2024-10-22",
    "text_editor_20241022": "computer-use-2024-10-22",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "memory_20250818": "context-management-2025-06-27",
    "tool_search_tool_regex_20251119": "advanced-tool-use-2025-11-20",
    "tool_search_tool_bm25_20251119": "advanced-tool-use-2025-11-20",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}


def beta_of(tool: Json) -> str | None:
    """Return what has to announce a tool; None for one that needs no announcement."""
    return _BETAS.get(text(tool, "type") or "")


def put_tools(body: Json, asked: Request, traits: Traits, losses: Losses) -> dict[str, str]:
    """Put the tools into the body; return the caller's name of each that has another there."""
    tools = body.pop("tools", [])  # the one that stands for a schema
    tools += [_function(each, traits, losses) for each in asked.functions]
    for tool in asked.vendor_tools:
        if pivot.vendor_of(tool) == "anthropic" or pivot.tool_kind(tool) == "mcp_toolset":
            tools.append(tool)
        else:
            _portable(tool, tools, losses)
    if asked.web_search is not None:
        tools.append(_web_search(asked.web_search))
    if not tools and (called := _called(body["messages"])):
        # "Requests which have `tool_use` blocks must define tools."
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        body["tool_choice"] = {"type": "none"}
    if tools:
        body["tools"] = tools
        _choose(body, asked, traits, losses)
    return {_fitting(f.name): f.name for f in asked.functions if _fitting(f.name) != f.name}


def _portable(tool: Json, tools: list[Json], losses: Losses) -> None:
    """Take over a search of another vendor's; all others can't be had here."""
    if pivot.tool_kind(tool) in ("web_search", "google_search"):
        tools.append(_web_search({}))
    else:
        pivot.lose_tool(tool, losses)


def _web_search(options: Json) -> Json:
    where = part(part(options, "user_location"), "approximate")
    location = {"user_location": {"type": "approximate", **where}} if where else {}
    return {"type": "web_search_20250305", "name": "web_search", **location}


def _function(given: Function, traits: Traits, losses: Losses) -> Json:
    schema = given.parameters
    if schema.get("type") != "object":
        schema = {"type": "object", **schema, **({"type": "object"} if "type" in schema else {})}
    strict: Json = {}
    if given.strict and traits.schemas:
        schema, strict = narrowed(schema, is_known, losses, closed=True), {"strict": True}
    elif given.strict:
        losses.add("strict")
    said = present(description=given.description, cache_control=given.cache)
    return {"name": _fitting(given.name), **said, "input_schema": schema, **strict}


def is_known(keyword: str) -> bool:
    """Tell whether constrained decoding knows a keyword of JSON Schema."""
    return keyword not in _UNKNOWN_KEYWORDS


def _fitting(name: str) -> str:
    return tool_name(name, NAMES)


def _called(messages: list[Json]) -> list[str]:
    """Return the names of the tools that the conversation has called."""
    blocks = (block for turn in messages for block in turn["content"])
    called = [str(block.get("name")) for block in blocks if block.get("type") == "tool_use"]
    return list(dict.fromkeys(called))


def _choose(body: Json, asked: Request, traits: Traits, losses: Losses) -> None:
    choice = body.get("tool_choice") or _choice(asked.choice)
    if choice and choice["type"] in FORCES and not traits.forced:
        losses.add("tool_choice")
        choice = {"type": "auto"}
    if asked.parallel is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _choice(given: Choice) -> Json | None:
    if given.mode is None:
        return None
    if given.mode == "required":
        named = {"type": "tool", "name": _fitting(given.name)} if given.name else None
        return named or {"type": "any"}
    return {"type": given.mode}
