"""The conversation as Anthropic's Messages API takes it: turns, blocks, calls, seals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ..dialects.base import dicts, obj
from ..http import Json
from ..seals import is_sealed
from .rule import Broken, Posted, among, text

# The blocks by the side that may say them, each with its fields; None: any.
_MARK = {"type", "cache_control"}
USER: dict[str, set[str] | None] = {
    "text": _MARK | {"text", "citations"},
    "image": _MARK | {"source"},
    "document": _MARK | {"source", "title", "context", "citations"},
    "search_result": None,
    "container_upload": None,
    "tool_result": _MARK | {"tool_use_id", "content", "is_error"},
}
SERVED = ("web_search", "web_fetch", "code_execution", "bash_code_execution", "tool_search",
          "text_editor_code_execution", "advisor")  # fmt: skip
ASSISTANT: dict[str, set[str] | None] = {
    "text": USER["text"],
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": _MARK | {"id", "name", "input", "caller"},
    "server_tool_use": _MARK | {"id", "name", "input", "caller"},
    "mcp_tool_use": None,
    "mcp_tool_result": None,
    "container_upload": None,
    "compaction": None,
    **{f"{name}_tool_result": None for name in SERVED},
}
SYSTEM: dict[str, set[str] | None] = {"text": USER["text"], "tool_addition": None}
SIDES = {"user": USER, "assistant": ASSISTANT, "system": SYSTEM}
IN_RESULTS = ("text", "image", "document", "search_result", "tool_reference")
THOUGHTS = ("thinking", "redacted_thinking")
ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
TOLD_LATER = re.compile(r"claude-[a-z]+-4-[89]|claude-[a-z]+-[5-9]")  # a system message, that is
NO_PREFILL = re.compile(r"claude-(?:opus|sonnet|haiku)-4-[6-9]|claude-[a-z]+-[5-9]")


def blocks_of(turn: Json) -> list[tuple[int, Json]]:
    content = turn.get("content")
    if isinstance(content, str):
        return [(0, {"type": "text", "text": content})]
    return among(turn, "content")


def blocks_in(posted: Posted) -> Iterator[tuple[str, str, Json]]:
    """Yield each block with its place and the role of its turn."""
    for i, turn in among(posted.body, "messages"):
        for j, block in blocks_of(turn):
            yield f"messages.{i}.content.{j}", text(turn, "role"), block


def turns_of(posted: Posted) -> list[tuple[str, list[Json]]]:
    """Return the turns as the API sees them: those of one side in a row are one."""
    found: list[tuple[str, list[Json]]] = []
    for _, turn in among(posted.body, "messages"):
        said = [block for _, block in blocks_of(turn)]
        if found and found[-1][0] == text(turn, "role"):
            found[-1][1].extend(said)
        else:
            found.append((text(turn, "role"), said))
    return found


def roles(posted: Posted) -> Iterator[Broken]:
    if not (turns := among(posted.body, "messages")):
        yield Broken("messages: at least one message is required")
    for i, turn in turns:
        role = text(turn, "role")
        if role == "system" and TOLD_LATER.search(posted.model) and i > 0:
            continue
        if role == "system":
            yield Broken(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
                'parameter, not "system" as an input message role.'
            )
        elif role not in ("user", "assistant"):
            yield Broken(f"messages.{i}.role: Input should be 'user' or 'assistant'")


def empty(posted: Posted) -> Iterator[Broken]:
    turns = among(posted.body, "messages")
    for i, turn in turns:
        last = i == len(turns) - 1 and text(turn, "role") == "assistant"
        if not turn.get("content") and not last:
            yield Broken(
                f"messages.{i}: all messages must have non-empty content except for the optional "
                "final assistant message"
            )
    for at, role, block in blocks_in(posted):
        inner = dicts(block.get("content")) if block.get("type") == "tool_result" else []
        for each in (block, *inner):
            said = each.get("text") if each.get("type") == "text" else "."
            if said == "" and each.get("cache_control"):
                yield Broken(f"{at}.text: cache_control cannot be set for empty text blocks")
            elif said == "":
                yield Broken("messages: text content blocks must be non-empty")
            elif not str(said).strip() and role != "assistant":
                yield Broken("messages: text content blocks must contain non-whitespace text")
    for _, block in among(posted.body, "system"):
        if not text(block, "text").strip():
            yield Broken("system: text content blocks must be non-empty")


def kinds(posted: Posted) -> Iterator[Broken]:
    for at, role, block in blocks_in(posted):
        allowed = SIDES.get(role, USER)
        kind = text(block, "type")
        if kind not in allowed and kind in USER | ASSISTANT:
            other = "user" if role == "assistant" else "assistant"
            at = at.rpartition(".content.")[0]
            yield Broken(f"{at}: `{kind}` blocks can only be in `{other}` messages")
        elif kind not in allowed:
            known = ", ".join(map(repr, sorted(allowed)))
            yield Broken(
                f"{at}: Input tag '{kind[:40]}' found using 'type' does not match any of the "
                f"expected tags: {known}"
            )
        elif (known_fields := allowed[kind]) is not None:
            for name in block.keys() - known_fields:
                yield Broken(f"{at}.{kind}.{name}: Extra inputs are not permitted")
        for j, inner in among(block, "content") if kind == "tool_result" else ():
            if text(inner, "type") not in IN_RESULTS:
                yield Broken(
                    f"{at}.tool_result.content.{j}: Input tag '{text(inner, 'type')[:40]}' found "
                    "using 'type' does not match any of the expected tags"
                )


def calls(posted: Posted) -> Iterator[Broken]:
    seen: set[str] = set()
    for at, _, block in blocks_in(posted):
        if block.get("type") != "tool_use":
            continue
        used = text(block, "id")
        if not ID.fullmatch(used):
            yield Broken(f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not NAME.fullmatch(text(block, "name")):
            yield Broken(
                f"{at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )
        if not isinstance(block.get("input"), dict):
            yield Broken(f"{at}.tool_use.input: Input should be a valid dictionary")
        if used in seen:
            yield Broken("messages: `tool_use` ids must be unique")
        seen.add(used)


def pairs(posted: Posted) -> Iterator[Broken]:
    turns = turns_of(posted)
    for i, (role, said) in enumerate(turns):
        before = turns[i - 1][1] if i and role == "user" else []
        called = [text(block, "id") for block in before if block.get("type") == "tool_use"]
        answered = [text(b, "tool_use_id") for b in said if b.get("type") == "tool_result"]
        begins = [text(b, "tool_use_id") for b in said[: len(answered)]]
        for used in answered:
            if used not in called:
                yield Broken(
                    f"messages.{i}.content.0: unexpected `tool_use_id` found in `tool_result` "
                    f"blocks: {used}. Each `tool_result` block must have a corresponding "
                    "`tool_use` block in the previous message."
                )
        for used, times in Counter(answered).items():
            if times > 1:
                yield Broken(
                    f"messages.{i}.content.1: each tool_use must have a single result. Found "
                    f"multiple `tool_result` blocks with id: {used}"
                )
        missing = [used for used in called if used not in begins]
        open_ = [text(b, "id") for b in said if b.get("type") == "tool_use"]
        missing += open_ if role == "assistant" and i == len(turns) - 1 else []
        if missing:
            yield Broken(
                f"messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately "
                f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next message."
            )


def served(posted: Posted) -> Iterator[Broken]:
    """Check what ran on Anthropic's servers: results beside their calls, and sealed by it."""
    for i, turn in among(posted.body, "messages"):
        blocks = [block for _, block in blocks_of(turn)]
        results = [text(b, "tool_use_id") for b in blocks if "_tool_result" in text(b, "type")]
        for block in blocks:
            used = text(block, "id")
            open_ = block is blocks[-1] or any(b.get("type") == "tool_use" for b in blocks)
            if block.get("type") == "server_tool_use" and used not in results and not open_:
                yield Broken(
                    f"messages.{i}: `{text(block, 'name')}` tool use with id `{used}` was found "
                    f"without a corresponding `{text(block, 'name')}_tool_result` block"
                )
            for page in dicts(block.get("content")):
                sealed = page.get("encrypted_content")
                if sealed and not is_sealed("anthropic", text(page, "url"), sealed):
                    yield Broken(
                        f"messages.{i}: Invalid `encrypted_content` in `search_result` block"
                    )


def seals(posted: Posted) -> Iterator[Broken]:
    for at, _, block in blocks_in(posted):
        if block.get("type") == "thinking":
            if "signature" not in block:
                yield Broken(f"{at}.thinking.signature: Field required")
            elif not is_sealed("anthropic", text(block, "thinking"), block["signature"]):
                yield Broken(f"{at}: Invalid `signature` in `thinking` block")
        redacted = block.get("type") == "redacted_thinking"
        if redacted and not is_sealed("anthropic", "redacted", block.get("data")):
            yield Broken(f"{at}: Invalid `data` in `redacted_thinking` block")


def thinking_first(posted: Posted) -> Iterator[Broken]:
    turns = turns_of(posted)
    for i, (_, said) in enumerate(turns):
        if said and said[-1].get("type") in THOUGHTS:
            yield Broken(f"messages.{i}: The final block in an assistant message cannot be "
                         f"`{said[-1]['type']}`.")  # fmt: skip
    if obj(posted.body.get("thinking")).get("type") != "enabled" or len(turns) < 2:
        return
    asks = turns[-2][1][:1] if turns[-2][0] == "assistant" else []
    results = any(block.get("type") == "tool_result" for block in turns[-1][1])
    if results and asks and asks[0].get("type") not in THOUGHTS:
        yield Broken(
            f"messages.{len(turns) - 2}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{text(asks[0], 'type')}`. When `thinking` is "
            "enabled, a final `assistant` message must start with a thinking block (preceeding "
            "the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def prefill(posted: Posted) -> Iterator[Broken]:
    turns = turns_of(posted)
    if not turns or turns[-1][0] != "assistant" or not turns[-1][1]:
        return
    end = turns[-1][1][-1]
    kind = text(end, "type")
    if kind == "server_tool_use" or kind.endswith("_tool_result"):  # its own server goes on
        return
    if NO_PREFILL.search(posted.model):
        yield Broken(
            "This model does not support assistant message prefill. The conversation must end with "
            "a user message."
        )
    if any(block.get("type") in THOUGHTS for block in turns[-1][1]):
        yield Broken(
            f"messages.{len(turns) - 1}.content.0: When thinking is disabled, an `assistant` "
            "message in the final position cannot contain `thinking`. To use thinking blocks, "
            "enable `thinking` in your request."
        )
    elif text(end, "text") != text(end, "text").rstrip():
        yield Broken("messages: final assistant content cannot end with trailing whitespace")
