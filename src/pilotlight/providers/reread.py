"""A plain chat answer read from the wire itself: any dialect's JSON in OpenAI's shape.

For answers that only the wire has shown (somebody else's code has read them), and for those
that the wire shows to be good while litellm fell over them.

Sources of the shapes: the API references of OpenAI, Anthropic, Gemini, Cohere and Ollama.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.core.provider import Answered, Attempt, Call, Failed
from pilotlight.diagnosis.answer_view import facts_of, view_of
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import verdict_failure
from pilotlight.providers.cohere import translation
from pilotlight.providers.connection import Connection
from pilotlight.providers.replies import ChatReply, flattened
from pilotlight.wire.field_types import count_in, dict_in, list_in, name_in, of, text_in
from pilotlight.wire.http import parsed
from pilotlight.wire.tap import Tap

Json = dict[str, Any]
_FINISH: Final[Mapping[str | None, str]] = {
    "end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "STOP": "stop", "MAX_TOKENS": "length",
}  # fmt: skip


def shown(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap
) -> Answered | Failed | None:
    """Return the chat's answer that the wire shows, good or bad, whoever has read it; None: none.

    Raises ProviderFault (malformed_response) where the wire shows none that can be read.
    """
    if not (body := tap.whole) or (tap.status or 0) >= 300:
        return None
    data = as_openai(parsed(body))
    return None if data is None else judged(connection, call, attempt, tap, data)


def judged(
    connection: Connection, call: Call, attempt: Attempt, tap: Tap, data: Json
) -> Answered | Failed:
    """Hold a chat's answer in OpenAI's shape against the wire."""
    from pilotlight.diagnosis.classify import judge

    spec = connection.spec
    view = view_of(data, spec.bare_model, tap)
    if (verdict := judge(tap, view, prompt_texts=Texts(call.messages))) is not None:
        return verdict_failure(attempt.target, verdict)
    return Answered(ChatReply(data, spec.provider), facts_of(view, tap, data))


def as_openai(said: Any) -> Json | None:
    """Return the answer in OpenAI's shape; None for what is no chat answer of a known dialect."""
    if not isinstance(said, dict):
        return None
    if "choices" in said:
        return _completion(said)
    if "candidates" in said or "usageMetadata" in said:
        return _gemini(said)
    if said.get("type") == "message":
        return _anthropic(said)
    return _message(said) if "message" in said else None


def _message(said: Json) -> Json | None:
    """Read what both Ollama and Cohere call a message."""
    if "done" in said:
        choice = {"index": 0, "message": said["message"], "finish_reason": said.get("done_reason")}
        return {"model": said.get("model"), "choices": [choice]}
    return translation.answer(said) if "finish_reason" in said else None


def _completion(said: Json) -> Json:
    """OpenAI's own; a text completion has its text where a chat has a message."""
    data = flattened(said)
    for choice in list_in(data, "choices"):
        if isinstance(choice, dict) and "message" not in choice and "text" in choice:
            choice["message"] = {"role": "assistant", "content": choice["text"]}
    return data


def _anthropic(said: Json) -> Json:
    message: Json = {"role": "assistant", "content": ""}
    for block in list_in(said, "content"):
        kind = str(of(block, "type"))
        if kind == "text":
            message["content"] += text_in(block, "text") or ""
        elif kind == "tool_use":
            _add_call(message, of(block, "id"), of(block, "name"), of(block, "input"))
        elif kind == "thinking":
            _add_thought(message, text_in(block, "thinking"))
        else:
            message.setdefault("other_parts", []).append(block)
    usage = dict_in(said, "usage")
    read = sum(count_in(usage, name) or 0 for name in _READ)
    reason = of(said, "stop_reason")
    return _made(said, "model", [_choice(message, reason)], read, count_in(usage, "output_tokens"))


_READ: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _gemini(said: Json) -> Json:
    choices = []
    for candidate in list_in(said, "candidates"):
        message: Json = {"role": "assistant", "content": ""}
        for part in list_in(of(candidate, "content"), "parts"):
            if isinstance(call := of(part, "functionCall"), dict):
                _add_call(message, call.get("id"), call.get("name"), call.get("args"))
            elif (text := text_in(part, "text")) is None:
                message.setdefault("other_parts", []).append(part)
            elif of(part, "thought") is True:
                _add_thought(message, text)
            else:
                message["content"] += text
        choices.append(_choice(message, of(candidate, "finishReason")))
    usage = dict_in(said, "usageMetadata")
    written = [count_in(usage, name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    completion = sum(each or 0 for each in written)
    return _made(said, "modelVersion", choices, count_in(usage, "promptTokenCount"), completion)


def _add_call(message: Json, id: Any, name: Any, arguments: Any) -> None:
    calls = message.setdefault("tool_calls", [])
    written = json.dumps(arguments or {}, ensure_ascii=False)
    function = {"name": name, "arguments": written}
    calls.append({"id": id or f"call_{len(calls)}", "type": "function", "function": function})


def _add_thought(message: Json, thought: str | None) -> None:
    message["reasoning_content"] = message.get("reasoning_content", "") + (thought or "")


def _choice(message: Json, reason: Any) -> Json:
    finish = _FINISH.get(reason, reason) if isinstance(reason, str) else reason
    if finish == "stop" and "tool_calls" in message:
        finish = "tool_calls"
    return {"index": 0, "message": message, "finish_reason": finish}


def _made(
    said: Json, model: str, choices: list[Json], prompt: int | None, completion: int | None
) -> Json:
    for place, choice in enumerate(choices):
        choice["index"] = place
    total = (prompt or 0) + (completion or 0)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {
        "id": name_in(said, "id") or name_in(said, "responseId"),
        "object": "chat.completion",
        "model": name_in(said, model),
        "choices": choices,
        "usage": usage,
    }
