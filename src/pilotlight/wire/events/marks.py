"""How each family of APIs says "here is content" and "this was all"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pilotlight.wire.tap import Wire

Search = Callable[[bytes], object]


def search_for(pattern: bytes) -> Search:
    """Return how to find a pattern."""
    return re.compile(pattern).search


def _never(_: bytes) -> None:
    """Match nothing."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one family of APIs says "here is content" and "this was all"."""

    content: tuple[Search, ...]  # the usual kind first; patterns with a fixed start are fast
    terminal: Search
    ended: Callable[[Mapping[str, Any]], bool] | None = None  # confirms a found end mark
    ndjson: bool = False  # every line is an event
    bare: bool = False  # lines without `data:` may be events too
    last: bool = False  # nothing of the answer can follow the end mark


_FINISH: Final = search_for(rb'"finish_reason":\s*"[^"]+"')
_RESPONSES_END: Final = search_for(rb'"type":\s*"response\.(?:completed|incomplete)"')
_RESPONSES_BODY_END: Final = search_for(rb'"status":\s*"(?:completed|incomplete)"')
USAGE: Final = search_for(rb'"usage":\s*\{')


def _openai_terminal(line: bytes) -> object:
    """Chat completions give a reason; the Responses API has a last event."""
    return _FINISH(line) or (b'"response.' in line and _RESPONSES_END(line))


def _openai_body_end(body: bytes) -> object:
    """A plain reply of the Responses API has a status; in a stream each of its items has one."""
    return _FINISH(body) or (b'"choices"' not in body and _RESPONSES_BODY_END(body))


def _ollama_ended(event: Mapping[str, Any]) -> bool:
    """Only the outermost `done` counts: a tool call's arguments may hold one too."""
    return event.get("done") is True


_INTERACTION_END: Final = "interaction.completed"  # of the Interactions API


def _gemini_ended(event: Mapping[str, Any]) -> bool:
    """Only a candidate's `finishReason` counts, the prompt's `blockReason`, or the last event."""
    candidates = event.get("candidates") or ()
    feedback = event.get("promptFeedback") or {}
    done = feedback.get("blockReason") or event.get("event_type") == _INTERACTION_END
    return bool(done) or any(c.get("finishReason") for c in candidates)


OPENAI: Final = Dialect(
    content=(
        # `"content":""` is the role-only chunk: a sign of life, but not of content.
        search_for(rb'"content":\s*(?:"[^"]|\[\s*\{)'),
        search_for(rb'"reasoning[a-z_]*":\s*(?:"[^"]|\[\s*\{)'),
        search_for(rb'"tool_calls":\s*\[\s*\{'),
        search_for(
            rb'"(?:thinking_blocks|images)":\s*\[\s*\{|"(?:function_call|audio)":\s*\{'
            rb'|"(?:thinking|text|refusal|delta)":\s*"[^"]'
            # What a server of OpenAI's has done by itself: a search, a program, an image.
            rb'|"type":\s*"(?:[a-z_]+_call(?:_output)?|mcp_list_tools|mcp_approval_request)"'
        ),
    ),
    terminal=_openai_terminal,
)

ANTHROPIC: Final = Dialect(
    content=(
        search_for(rb'"content_block_delta"'),
        search_for(rb'"completion":\s*"[^"]'),  # of the older text completions
        search_for(rb'"type":\s*"(?:server_)?tool_use"'),
    ),
    terminal=search_for(
        rb'"type":\s*"message_stop"|"type":\s*"completion".*"stop_reason":\s*"[^"]+"'
    ),
    last=True,
)
# A plain body has no `message_stop`; there the stop reason says that it ended.
BODY_ENDS: Final[Mapping[Wire, Search]] = {
    "anthropic": search_for(rb'"stop_reason":\s*"[^"]+"'),
    "openai": _openai_body_end,
    "cohere": _FINISH,
}

GEMINI: Final = Dialect(
    content=(
        search_for(rb'"text":\s*"[^"]'),
        search_for(rb'"(?:functionCall|inlineData|executableCode|codeExecutionResult)":\s*\{'),
    ),
    terminal=search_for(
        rb'"finishReason":\s*"(?!FINISH_REASON_UNSPECIFIED)[^"]+"|"blockReason":\s*"[^"]+"'
        rb'|"event_type":\s*"interaction\.completed"'
    ),
    ended=_gemini_ended,
    bare=True,
)

COHERE: Final = Dialect(
    content=(
        search_for(rb'"content-delta"'),
        search_for(rb'"tool-(?:call-start|call-delta|plan-delta)"'),
    ),
    terminal=search_for(rb'"type":\s*"message-end"'),
    last=True,
)

_OLLAMA: Final = Dialect(
    content=(
        search_for(rb'"content":\s*"[^"]'),
        search_for(rb'"(?:response|thinking)":\s*"[^"]|"tool_calls":\s*\[\s*\{'),
    ),
    terminal=search_for(rb'"done":\s*true'),
    ended=_ollama_ended,
    ndjson=True,
    last=True,
)

# An unknown dialect: every line that carries anything is content, and no end is known.
_OTHER: Final = Dialect(content=(search_for(rb"[^\s]"),), terminal=_never, bare=True)

DIALECTS: Final[Mapping[Wire, Dialect]] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "cohere": COHERE,
    "ollama": _OLLAMA,
    "stability": _OTHER,
    "other": _OTHER,
}
