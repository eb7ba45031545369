"""What Anthropic's Messages API refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..dialects.base import dicts, obj
from ..http import Reply
from ..wording import anthropic as wording
from .anthropic_turns import (
    NAME,
    blocks_in,
    calls,
    empty,
    kinds,
    pairs,
    prefill,
    roles,
    seals,
    served,
    thinking_first,
)
from .rule import Broken, Posted, Rule, among, is_base64, is_number, sub_schemas, text, words

FIELDS = words(
    "model messages max_tokens system metadata stop_sequences stream temperature tool_choice "
    "tools top_k top_p thinking service_tier container context_management mcp_servers "
    "output_config output_format speed inference_geo cache_control diagnostics user_profile_id"
)
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
ADAPTIVE_ONLY = re.compile(r"claude-[a-z]+-4-[7-9]|claude-[a-z]+-[5-9]")
NEVER_ADAPTIVE = re.compile(r"claude-3|claude-[a-z]+-4-(?:[015]\b|2025)")
MOST_MARKS = 4
LEAST_BUDGET = 1024
UNCONSTRAINED = words(
    "minItems maxItems uniqueItems minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "
    "minLength maxLength patternProperties if then else not"
)


def reply(broken: Broken) -> Reply:
    return wording.error(broken.status, wording.INVALID, broken.message)


def fields(posted: Posted) -> Iterator[Broken]:
    for name in ("model", "messages", "max_tokens"):
        if posted.body.get(name) is None:
            yield Broken(f"{name}: Field required")
    for name in posted.body.keys() - FIELDS:
        yield Broken(f"{name}: Extra inputs are not permitted")


def ranges(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    if is_number(most := body.get("max_tokens")) and most < 1:
        yield Broken("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        if is_number(value := body.get(name)) and not 0 <= value <= 1:
            side = "less than or equal to 1" if value > 1 else "greater than or equal to 0"
            yield Broken(f"{name}: Input should be {side}")
    for each in body.get("stop_sequences") or ():
        if not str(each).strip():
            yield Broken("stop_sequences: each stop sequence must contain non-whitespace")
    if "@" in text(obj(body.get("metadata")), "user_id"):
        yield Broken("metadata.user_id: user_id appears to contain an email address")


def thinking(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    asked = obj(body.get("thinking"))
    if asked.get("type") not in ("enabled", "adaptive"):
        return
    budget, most = asked.get("budget_tokens"), body.get("max_tokens")
    if asked["type"] == "enabled":
        if ADAPTIVE_ONLY.search(posted.model):
            yield Broken(
                '"thinking.type.enabled" is not supported for this model. Use '
                '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
            )
        if not is_number(budget):
            yield Broken("thinking.enabled.budget_tokens: Field required")
        elif budget < LEAST_BUDGET:
            yield Broken(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            )
        elif is_number(most) and budget >= most:
            yield Broken("`max_tokens` must be greater than `thinking.budget_tokens`.")
    elif NEVER_ADAPTIVE.search(posted.model):
        yield Broken("adaptive thinking is not supported on this model")
    forced = obj(body.get("tool_choice")).get("type") in ("any", "tool")
    if forced and (asked["type"] == "enabled" or "-4-6" not in posted.model):
        yield Broken("Thinking may not be enabled when tool_choice forces tool use.")
    if body.get("temperature", 1) != 1:
        yield Broken("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        yield Broken("`top_k` must be unset when thinking is enabled.")


def tools(posted: Posted) -> Iterator[Broken]:
    body = posted.body
    given = [tool for _, tool in among(body, "tools")]
    names = [text(tool, "name") for tool in given if tool.get("name")]
    if len(set(names)) < len(names):
        yield Broken("tools: Tool names must be unique.")
    for i, tool in enumerate(given):
        if tool.get("type") not in (None, "custom"):
            continue
        if not NAME.fullmatch(text(tool, "name")):
            yield Broken(
                f"tools.{i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            yield Broken(f"tools.{i}.custom.input_schema: Field required")
        elif schema.get("type") != "object":
            yield Broken(f"tools.{i}.custom.input_schema.type: Input should be 'object'")
    choice = obj(body.get("tool_choice"))
    if choice and not given:
        yield Broken("tool_choice: `tool_choice` may only be specified while providing `tools`.")
    if choice.get("type") == "tool" and text(choice, "name") not in names:
        yield Broken(f"tool_choice.name: Tool '{text(choice, 'name')}' not found in provided tools")
    used = any(
        block.get("type") in ("tool_use", "tool_result") for _, _, block in blocks_in(posted)
    )
    if used and not given:
        yield Broken(
            "Requests which have `tool_use` or `tool_result` blocks in `messages` must define tools"
        )


def schemas(posted: Posted) -> Iterator[Broken]:
    config = obj(posted.body.get("output_config")).get("format") or posted.body.get("output_format")
    found = [("output_config.format.schema", obj(config).get("schema"))]
    found += [
        (f"tools.{i}.custom", tool.get("input_schema"))
        for i, tool in among(posted.body, "tools")
        if tool.get("strict") is True
    ]
    for at, whole in found:
        for _, schema in sub_schemas(whole):
            kind = schema.get("type")
            if kind == "object" and schema.get("additionalProperties") is not False:
                yield Broken(
                    f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to "
                    "false"
                )
            for name in schema.keys() & UNCONSTRAINED:
                yield Broken(f"{at}: For '{kind}' type, property '{name}' is not supported")


def media(posted: Posted) -> Iterator[Broken]:
    for at, _, block in blocks_in(posted):
        shown = [(at, block)]
        shown += [(f"{at}.tool_result.content.{j}", b) for j, b in among(block, "content")]
        for place, each in shown:
            source = obj(each.get("source"))
            if each.get("type") != "image" or source.get("type") != "base64":
                continue
            if text(source, "media_type") not in IMAGES:
                yield Broken(
                    f"{place}.image.source.base64.media_type: Input should be 'image/jpeg', "
                    "'image/png', 'image/gif' or 'image/webp'"
                )
            if not (data := text(source, "data")):
                yield Broken(f"{place}.image.source.base64: image cannot be empty")
            elif not is_base64(data):
                yield Broken(f"{place}.image.source.base64.data: invalid base64 data")


def marks(posted: Posted) -> Iterator[Broken]:
    marked = [block for _, _, block in blocks_in(posted)]
    marked += [b for _, _, block in blocks_in(posted) for b in dicts(block.get("content"))]
    for name in ("system", "tools"):
        marked += [each for _, each in among(posted.body, name)]
    count = sum(1 for each in marked if each.get("cache_control"))
    if count > MOST_MARKS:
        yield Broken(
            f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {count}."
        )


API = "platform.claude.com/docs/en/api/messages"
THINK = "platform.claude.com/docs/en/build-with-claude/extended-thinking"
USE = "platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use"
STRUCTURED = "platform.claude.com/docs/en/build-with-claude/structured-outputs"
RULES = (
    Rule("`model`, `messages` and `max_tokens` are there, and no unknown field", API, fields),
    Rule("numbers are in range, stop sequences not blank, `user_id` no address", API, ranges),
    Rule("there is a message; roles are `user` and `assistant`", API, roles),
    Rule("blocks are known, stand on the right side, and have no unknown field", API, kinds),
    Rule("no turn and no text is empty or blank", "anthropics/claude-code#55302", empty),
    Rule("calls have ids and names of their alphabet, objects as input, and no id twice", USE,
         calls),
    Rule("each call has one result, in the next turn, before anything else there", USE, pairs),
    Rule("tools that ran at Anthropic have their results beside them, sealed by it",
         "platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool", served),
    Rule("thoughts are signed by Anthropic, and unchanged", "anthropics/claude-code#10627", seals),
    Rule("a turn does not end with a thought; a tool's turn begins with one while thinking",
         "tailcallhq/forgecode#2107", thinking_first),
    Rule("thinking has a budget below `max_tokens`, no forced tool, no sampling", THINK, thinking),
    Rule("tools have names and schemas, each once; the forced one is among them", USE, tools),
    Rule("constrained schemas are closed and have only keywords that it knows", STRUCTURED,
         schemas),
    Rule("pictures are of four kinds, in base64, not empty",
         "platform.claude.com/docs/en/build-with-claude/vision", media),
    Rule("four cache marks at most",
         "platform.claude.com/docs/en/build-with-claude/prompt-caching", marks),
    Rule("newer models want the last word from the user; older no blank at the end of a prefill",
         "platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response",
         prefill),
)  # fmt: skip
