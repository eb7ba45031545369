"""Whether an API would take a body: what each is known to refuse in a conversation."""

from __future__ import annotations

import re
from typing import Any

_ANTHROPIC_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OPENAI_FIELDS = {
    "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio",
}  # fmt: skip


def anthropic(body: Any) -> None:
    """By turns, no empty block, each call answered at once, ids that fit, none of them twice."""
    roles = [turn["role"] for turn in body["messages"]]
    assert set(roles) <= {"user", "assistant"}
    assert all(a != b for a, b in zip(roles, roles[1:], strict=False))
    assert body["max_tokens"] >= 1
    calls: list[str] = []
    waiting: list[str] = []
    for turn in body["messages"]:
        blocks = turn["content"]
        assert blocks
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        assert results == waiting
        assert all(b["type"] == "tool_result" for b in blocks[: len(results)])
        if turn["role"] == "user":
            assert all(b["text"].strip() for b in blocks if b["type"] == "text")
        for block in blocks:
            assert block["type"] != "thinking" or block["signature"].startswith("anthropic-")
        waiting = [b["id"] for b in blocks if b["type"] == "tool_use"]
        calls += waiting
        assert all(type(b["input"]) is dict for b in blocks if b["type"] == "tool_use")
    assert not waiting
    assert len(set(calls)) == len(calls)
    assert all(map(_ANTHROPIC_ID.fullmatch, calls))


def gemini(body: Any, signed: bool = True) -> None:
    """No empty content; as many results as calls, at once and in their order; calls signed."""
    waiting: list[tuple[str, Any]] = []
    for content in body["contents"]:
        parts = content["parts"]
        assert parts
        results = [p["functionResponse"] for p in parts if "functionResponse" in p]
        assert [(r["name"], r.get("id")) for r in results] == waiting
        assert all(type(r["response"]) is dict for r in results)
        calls = [p for p in parts if "functionCall" in p]
        assert bool(calls) <= (content["role"] == "model")
        waiting = [(p["functionCall"]["name"], p["functionCall"].get("id")) for p in calls]
        if calls and signed:
            assert calls[0]["thoughtSignature"]
        for part in parts:
            signature = part.get("thoughtSignature", "gemini-")
            assert signature.startswith(("gemini-", "skip_thought_signature_validator"))
    assert not waiting


def openai(body: Any, ids: str = r"[\x21-\x7e]{1,64}", more: Any = ()) -> None:
    """Only its own fields; each call answered at once, by texts alone; ids that fit."""
    waiting: set[str] = set()
    for message in body["messages"]:
        assert message.keys() <= _OPENAI_FIELDS | set(more)
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
            content = message["content"]
            assert type(content) is str or all(p["type"] == "text" for p in content)
            continue
        assert not waiting
        spoken = (message.get("content"), message.get("tool_calls"), message.get("refusal"))
        assert any(spoken) or message["role"] == "user"
        for call in message.get("tool_calls") or ():
            assert call.keys() <= {"id", "type", "function", "custom"}
            waiting.add(call["id"])
        assert len(waiting) == len(message.get("tool_calls") or ())
        assert all(re.fullmatch(ids, each) for each in waiting)
    assert not waiting


def responses(body: Any) -> None:
    """Known items; each call answered at once; reasoning sealed by its own vendor."""
    waiting: list[str] = []
    for item in body["input"]:
        kind = item.get("type", "message")
        if kind.endswith("_call_output"):
            assert waiting.pop(0) == item["call_id"]
            continue
        if kind in ("function_call", "custom_tool_call"):
            assert re.fullmatch(r"[\x21-\x7e]{1,64}", item["call_id"])
            waiting.append(item["call_id"])
            continue
        assert (
            not waiting or kind not in ("message", "reasoning") or item.get("role") == "assistant"
        )
        if kind == "reasoning":
            assert item["encrypted_content"].startswith("openai-")
    assert not waiting


def ollama(body: Any) -> None:
    """Plain texts; results after their calls, in their order, by the tool's name."""
    waiting: list[str] = []
    for message in body["messages"]:
        assert type(message["content"]) is str
        if message["role"] == "tool":
            assert message["tool_name"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [call["function"]["name"] for call in message.get("tool_calls", ())]
        assert all(type(c["function"]["arguments"]) is dict for c in message.get("tool_calls", ()))
    assert not waiting
