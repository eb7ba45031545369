"""Judging an answer that only the wire has shown: somebody else's code has read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pilotlight.providers.judge import AnswerView, judge, judge_wire
from pilotlight.providers.tap import Tap
from pilotlight.providers.verdict import Verdict


def judge_seen(tap: Tap) -> Verdict | None:
    """Return what is wrong with what was seen; None if nothing is, or nothing was seen.

    A stream that its reader left half-way is the reader's business.
    """
    if not tap.requests:
        return None
    ended = tap.complete or tap.broken or tap.expired
    if tap.streaming and not (ended or tap.in_band_error or tap.garbled):
        return None
    verdict = judge_wire(tap)
    if verdict is not None:
        return verdict
    view = _view(tap)
    return None if view is None else judge(tap, view)


def sound(tap: Tap) -> bool:
    """Tell whether the wire shows no trouble at all: what was raised is then not its doing."""
    if tap.expired or tap.refused_host or tap.status is None or tap.status >= 300:
        return False
    return (
        not (tap.broken or tap.in_band_error or tap.garbled or tap.late) and judge_seen(tap) is None
    )


def _view(tap: Tap) -> AnswerView | None:
    """Read a chat answer out of the bytes; None where they are none, or too many to keep."""
    if tap.streaming:
        return AnswerView(choices=1) if tap.terminal and not tap.contents else None
    if not tap.complete or tap.received > len(tap.head):
        return None
    try:
        said = json.loads(tap.head)
    except (ValueError, RecursionError):
        return None
    return _read(said) if isinstance(said, Mapping) else None


def _read(said: Mapping[str, Any]) -> AnswerView | None:
    """Find the first answer in any dialect's shape; None in what is no chat answer."""
    try:
        if "choices" in said:
            return _openai(said["choices"])
        if "candidates" in said or "usageMetadata" in said:
            return _gemini(said.get("candidates") or [])
        if said.get("type") == "message":
            return _anthropic(said)
        if "message" in said and "done" in said:
            return _message(said["message"], said.get("done_reason"))
    except (AttributeError, TypeError, KeyError, IndexError):
        pass  # a shape nobody has told us of: no verdict
    return None


def _openai(choices: Any) -> AnswerView:
    if not choices:
        return AnswerView(choices=0)
    first = choices[0]
    if "message" not in first:  # a text completion
        return AnswerView(1, first.get("text"), finish_reason=first.get("finish_reason"))
    return _message(first["message"], first.get("finish_reason"))


def _message(message: Mapping[str, Any], finish: str | None) -> AnswerView:
    text = message.get("content")
    other = any(message.get(k) for k in ("reasoning_content", "reasoning", "thinking", "audio"))
    return AnswerView(
        choices=1,
        text=text if isinstance(text, str) else None,
        tool_calls=bool(message.get("tool_calls") or message.get("function_call")),
        finish_reason=finish,
        other_content=other or bool(text and not isinstance(text, str)),
    )


def _anthropic(said: Mapping[str, Any]) -> AnswerView:
    blocks = said.get("content") or []
    return AnswerView(
        choices=1,
        text="".join(block.get("text", "") for block in blocks if block.get("type") == "text"),
        tool_calls=any("tool_use" in str(block.get("type")) for block in blocks),
        finish_reason=said.get("stop_reason"),
        other_content=any(block.get("type") not in ("text", "tool_use") for block in blocks),
    )


def _gemini(candidates: Any) -> AnswerView:
    if not candidates:
        return AnswerView(choices=0)
    parts = (candidates[0].get("content") or {}).get("parts") or []
    return AnswerView(
        choices=1,
        text="".join(part.get("text", "") for part in parts),
        tool_calls=any("functionCall" in part for part in parts),
        finish_reason=candidates[0].get("finishReason"),
        other_content=any(set(part) - {"text", "functionCall"} for part in parts),
    )
