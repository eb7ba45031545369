"""Anthropic's message as an answer of the pivot.

What the pivot holds by itself are thoughts, then text, then tool calls.  Whatever else there is
(searches that ran on Anthropic's servers, citations, another order) stays in the block's own
form beside it, and goes back to Anthropic alone.

Source: Anthropic's API reference, POST /v1/messages, and the page on stop reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

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
    part,
    present,
    text,
)
from pilotlight.dialects.history import OWN, keep
from pilotlight.dialects.shape import call_of, completion, usage_of

KEPT: Final = OWN["anthropic_messages"]
_FINISHES: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ORDER: Final = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
_CITED: Final = ("web_search_result_location", "search_result_location")


def read_answer(said: Any, asked: Asked) -> Json:
    """Read a whole answer.  Raises Unreadable, and nothing else."""
    said = need_object(said, "the answer")
    if "content" not in said and "stop_reason" not in said:
        raise Unreadable("the answer has no content")
    blocks = need_objects(said, "content")
    message = read_message(blocks, asked)
    reason = need_text(said, "stop_reason") or None
    called = "tool_calls" in message
    choice: Json = {"index": 0, "message": message, "finish_reason": finish_of(reason, called)}
    if told := ending(said):
        choice["provider_specific_fields"] = told
    answer = completion(asked, text(said, "id"), text(said, "model"), [choice])
    answer["usage"] = tokens(part(said, "usage"))
    return answer


def finish_of(reason: str | None, called: bool) -> str | None:
    """Return the pivot's word for a stop reason; one without such a word is kept as it is."""
    if reason == "tool_use" and not called:  # the tool stood for a schema
        return "stop"
    return reason if reason is None else _FINISHES.get(reason, reason)


def ending(said: Json) -> Json:
    """Return what the API says about the end beside the reason."""
    reason = text(said, "stop_reason")
    told = present(
        stop_sequence=text(said, "stop_sequence"),
        stop_details=part(said, "stop_details") or None,
        container=part(said, "container") or None,
        context_management=part(said, "context_management") or None,
    )
    return {"stop_reason": reason, **told} if told or reason not in _PLAIN else {}


_PLAIN: Final = (None, "end_turn", "max_tokens", "tool_use")


def read_message(blocks: Sequence[Json], asked: Asked) -> Json:
    """Read what Anthropic's model says; raises Unreadable."""
    words: list[str] = []
    thoughts: list[Json] = []
    calls: list[Json] = []
    annotations: list[Json] = []
    for place, block in enumerate(blocks):
        at = f"content[{place}]."
        kind = need_name(block, "type", at)
        if kind == "text":
            words.append(need_text(block, "text", at))
            annotations += [found for each in objects(block, "citations") for found in cited(each)]
        elif kind == "thinking":
            need_text(block, "thinking", at)
            thoughts.append(block)
        elif kind == "redacted_thinking":
            thoughts.append(block)
        elif kind == "tool_use":
            name, given = need_name(block, "name", at), need_part(block, "input", at)
            if name == asked.json_tool:
                words.append(dumps(given))
            else:
                named = need_name(block, "id", at)
                calls.append(call_of(named, asked.names.get(name, name), dumps(given)))
    message: Json = {"role": "assistant", "content": "".join(words) or (None if calls else "")}
    if thoughts:
        message["thinking_blocks"] = thoughts
        if reasons := "".join(text(each, "thinking") or "" for each in thoughts):
            message["reasoning_content"] = reasons
    if calls:
        message["tool_calls"] = calls
    if annotations:
        message["annotations"] = annotations
    return message | (keep({KEPT: list(blocks)}) if is_own(blocks) else {})


def is_own(blocks: Sequence[Json]) -> bool:
    """Tell whether blocks say what the pivot alone can't give back to Anthropic."""
    ranks = [_ORDER.get(block["type"], -1) for block in blocks]
    return -1 in ranks or ranks != sorted(ranks) or any(map(_is_marked, blocks))


def _is_marked(block: Json) -> bool:
    caller = part(block, "caller").get("type", "direct")  # a program of Anthropic's called it
    return bool(block.get("citations")) or caller != "direct"


def cited(citation: Json) -> list[Json]:
    """Return a citation of a page on the web as OpenAI has it; none of anything else."""
    url = text(citation, "url") or text(citation, "source")
    if text(citation, "type") not in _CITED or url is None:
        return []
    told = present(title=text(citation, "title"), content=text(citation, "cited_text"))
    return [{"type": "url_citation", "url_citation": {"url": url, **told}}]


# Tokens.


def tokens(usage: Json) -> Json:
    """Return the tokens: those of a prompt that was cached count as much as the others.

    With `iterations` (compaction, an advisor) the sum of them is what was used.
    """
    rounds = [
        each for each in objects(usage, "iterations") if _of(each, "input_tokens") is not None
    ]
    counted = rounds or [usage]

    def total(name: str) -> int:
        return sum(count(each, name) or 0 for each in counted)

    read, made = total("cache_read_input_tokens"), total("cache_creation_input_tokens")
    return usage_of(
        total("input_tokens") + read + made,
        total("output_tokens"),
        cached=read,
        reasoning=count(part(usage, "output_tokens_details"), "thinking_tokens") or 0,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=made,
        server_tool_use={n: v for n, v in part(usage, "server_tool_use").items() if v},
        service_tier=text(usage, "service_tier"),
    )


def _of(usage: Json, name: str) -> int | None:
    return count(usage, name)


# Errors.


def read_refusal(said: Any) -> Refusal | None:
    """Read an error; None where it is none of Anthropic's.  Never raises."""
    error = part(said, "error")
    if not error:
        return None
    return Refusal(text(error, "message") or "", text(error, "type"), None)
