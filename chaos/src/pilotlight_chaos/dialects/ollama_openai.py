"""Ollama's own rendering of OpenAI's shape: `/v1/chat/completions`, under the name `ollama`.

It differs from the original where clients notice: ids repeat, text begins in the first chunk,
a tool call comes whole, and an error in mid-stream is lost.
"""

from __future__ import annotations

import dataclasses
import time
from typing import ClassVar

from ..answers import Answer, Ask, ToolCall, new_id
from ..faults import Fault
from ..http import Json, Reply, Request, Script
from ..wording import ollama as wording
from .base import Refused, dumps, obj, sse
from .openai import FINISH, OpenAI, _usage

EFFORTS = (None, "none", "minimal", "low", "medium", "high", "max", "xhigh", "ultra")
TYPES = {400: "invalid_request_error", 404: "not_found_error"}


class OllamaOpenAI(OpenAI):
    name = "ollama"
    headers: ClassVar = {}

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        if not request.body.strip():
            raise Refused(wording.error(400, "EOF"))
        try:
            body = request.json()
        except ValueError as odd:
            raise Refused(wording.error(400, str(odd))) from None
        if not body.get("messages"):
            raise Refused(wording.error(400, "[] is too short - 'messages'"))
        if body.get("reasoning_effort") not in EFFORTS:
            text = f"invalid reasoning value: {dumps(body['reasoning_effort'])}"
            raise Refused(wording.error(400, text))
        ask = super().read(name, variant, model, request)
        return dataclasses.replace(ask, dialect=self.name, openai=True)

    def refused(self, reply: Reply) -> Reply:
        return openai_error(reply)

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return openai_error(wording.refusal(ask, fault))

    def whole(self, ask: Ask, answer: Answer) -> Json:
        message: Json = {"role": "assistant", "content": answer.text}
        if answer.thinking:
            message["reasoning"] = answer.thinking
        if answer.calls:
            message["tool_calls"] = [_call(i, call) for i, call in enumerate(answer.calls)]
        choice = {"index": 0, "message": message, "finish_reason": FINISH[answer.finish]}
        counts = _usage(answer.prompt_tokens, answer.completion_tokens)
        return {**_base(answer.model, ""), "choices": [choice], "usage": counts}

    def script(self, ask: Ask, answer: Answer) -> Script:
        base = _base(answer.model, ".chunk")
        deltas: list[Json] = [{"content": "", "reasoning": answer.thinking}]
        deltas = deltas if answer.thinking else []
        deltas += [{"content": piece} for piece in answer.pieces]
        if answer.calls:
            calls = [_call(i, call) for i, call in enumerate(answer.calls)]
            deltas.append({"content": "", "tool_calls": calls})
        deltas = deltas or [{"content": ""}]
        deltas[0] = {"role": "assistant", **deltas[0]}
        closing = _chunk(base, {}, FINISH[answer.finish])
        if obj(ask.body.get("stream_options")).get("include_usage"):
            counts = _usage(answer.prompt_tokens, answer.completion_tokens)
            closing += sse({**base, "choices": [], "usage": counts})
        pieces = tuple(_chunk(base, delta) for delta in deltas)
        return Script(b"", pieces, closing + self.ending)

    def nothing(self, ask: Ask) -> Json:
        return {**_base(ask.model, ".chunk" if ask.stream else ""), "choices": []}

    def error_in_200(self, ask: Ask) -> Json:
        return {"error": {"message": wording.IN_A_200, "type": "api_error"}}

    def error_event(self, ask: Ask) -> bytes:
        """Return what is left of an error in mid-stream: a chunk that says nothing."""
        return _chunk(_base(ask.model, ".chunk"), {"content": ""})


def openai_error(reply: Reply) -> Reply:
    """Put one of Ollama's refusals into OpenAI's shape; what a proxy said stays as it is."""
    if not isinstance(reply.body, dict) or not isinstance(reply.body.get("error"), str):
        return reply
    kind = TYPES.get(reply.status, "api_error")
    error = {"message": reply.body["error"], "type": kind, "param": None, "code": None}
    return Reply({"error": error}, reply.status)


def _base(model: str, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{int(new_id('')) % 999}",  # not unique, there neither
        "object": f"chat.completion{kind}",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": "fp_ollama",
    }


def _chunk(base: Json, delta: Json, finish: str | None = None) -> bytes:
    return sse({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _call(index: int, call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": dumps(call.arguments)}
    return {"id": call.id, "index": index, "type": "function", "function": function}
