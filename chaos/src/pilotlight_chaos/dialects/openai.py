"""OpenAI's dialect: chat completions, embeddings and images.  Mistral, Groq and others
speak it too.
"""

from __future__ import annotations

import base64
import struct
import time
from typing import Any, ClassVar

from ..answers import (
    Answer,
    Ask,
    Finish,
    Message,
    Tool,
    ToolCall,
    ToolChoice,
    count_tokens,
    embedding,
    new_id,
)
from ..faults import Fault
from ..http import Json, Reply, Request, Script
from ..wording import openai as wording
from .base import Dialect, Refused, dicts, dumps, obj, sse, text_of, whole_number

FINISH: dict[Finish | None, str | None] = {
    "stop": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    None: None,
}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


class OpenAI(Dialect):
    name = "openai"
    ending = b"data: [DONE]\n\n"
    headers: ClassVar = wording.HEADERS

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        try:
            body = request.json()
        except ValueError:
            message = "We could not parse the JSON body of your request."
            raise Refused(wording.error(400, message, wording.INVALID)) from None
        wanted = body.get("model")
        if not isinstance(wanted, str) or not wanted:
            message = "you must provide a model parameter"
            raise Refused(wording.error(400, message, wording.INVALID))
        if variant == "embeddings":
            given = tuple(Message("user", text) for text in _texts(body.get("input")))
            return Ask(name, self.name, wanted, False, body, given, variant=variant)
        if variant == "images":
            drawn = (Message("user", str(body.get("prompt") or "")),)
            return Ask(name, self.name, wanted, False, body, drawn, variant=variant)
        if not isinstance(body.get("messages"), list):
            message = "Missing required parameter: 'messages'."
            code = "missing_required_parameter"
            raise Refused(wording.error(400, message, wording.INVALID, code, "messages"))
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        return Ask(
            name,
            self.name,
            wanted,
            bool(body.get("stream")),
            body,
            messages=[
                Message(str(each.get("role")), text_of(each.get("content")))
                for each in dicts(body["messages"])
            ],
            tools=[_tool(each) for each in dicts(body.get("tools"))],
            choice=_choice(body.get("tool_choice")),
            schema=_schema(body.get("response_format")),
            max_tokens=whole_number(limit),
            variant=variant,
        )

    def whole(self, ask: Ask, answer: Answer) -> Json:
        if ask.variant == "embeddings":
            return _embeddings(ask)
        if ask.variant == "images":
            return _images(ask, answer.text)
        message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [_call(call) for call in answer.calls]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": FINISH[answer.finish],
        }
        return {
            **_base(answer.model, "chat.completion"),
            "choices": [choice],
            "usage": _usage(answer.prompt_tokens, answer.completion_tokens),
        }

    def script(self, ask: Ask, answer: Answer) -> Script:
        base = _base(answer.model, "chat.completion.chunk")

        def delta(delta: Json, finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return sse({**base, "choices": [choice]})

        pieces = [delta({"content": piece}) for piece in answer.pieces]
        for index, call in enumerate(answer.calls):
            pieces += [delta({"tool_calls": [part]}) for part in _call_parts(index, call)]
        closing = delta({}, FINISH[answer.finish])
        if obj(ask.body.get("stream_options")).get("include_usage"):
            usage = _usage(answer.prompt_tokens, answer.completion_tokens)
            closing += sse({**base, "choices": [], "usage": usage})
        opening = delta({"role": "assistant", "content": ""})
        return Script(opening, tuple(pieces), closing + self.ending)

    def nothing(self, ask: Ask) -> Json:
        if ask.variant == "embeddings":
            return {**_embeddings(ask), "data": []}
        if ask.variant == "images":
            return {**_images(ask, ""), "data": []}
        kind = "chat.completion.chunk" if ask.stream else "chat.completion"
        return {**_base(ask.model, kind), "choices": [], "usage": _usage(ask.prompt_tokens, 0)}

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return wording.refusal(ask, fault)

    def error_in_200(self, ask: Ask) -> Json:
        return wording.error_body(wording.SERVER_ERROR, "server_error")

    def error_event(self, ask: Ask) -> bytes:
        return sse(wording.error_body(wording.SERVER_ERROR, "server_error"))


def _base(model: str, kind: str) -> Json:
    return {
        "id": new_id("chatcmpl-"),
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_chaos",
    }


def _usage(prompt: int, completion: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _tool(tool: Json) -> Tool:
    function = obj(tool.get("function"))
    return Tool(str(function.get("name")), obj(function.get("parameters")))


def _choice(value: Any) -> ToolChoice:
    if isinstance(value, dict):
        return ToolChoice("forced", obj(value.get("function")).get("name"))
    if value in ("required", "any"):  # Mistral says "any"
        return ToolChoice("forced")
    return ToolChoice("none" if value == "none" else "auto")


def _schema(wanted: Any) -> Json | None:
    match wanted:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
        case {"type": "json_object" | "json_schema"}:
            return {}
    return None


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _call_parts(index: int, call: ToolCall) -> list[Json]:
    """Name first, then the arguments in two halves."""
    arguments = dumps(call.arguments)
    half = len(arguments) // 2
    first = {**_call(call), "index": index, "function": {"name": call.name, "arguments": ""}}
    rest = (arguments[:half], arguments[half:])
    return [first, *({"index": index, "function": {"arguments": part}} for part in rest)]


def _texts(given: Any) -> list[str]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given and isinstance(given[0], int):
        return [str(given)]  # one text, as token ids
    return [str(each) for each in given] if isinstance(given, list) else []


def _embeddings(ask: Ask) -> Json:
    size = whole_number(ask.body.get("dimensions")) or 8
    packed = ask.body.get("encoding_format") == "base64"

    def entry(index: int, text: str) -> Json:
        vector: Any = embedding(text, size)
        if packed:
            vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        return {"object": "embedding", "index": index, "embedding": vector}

    tokens = sum(count_tokens(message.text) for message in ask.messages)
    return {
        "object": "list",
        "model": ask.model,
        "data": [entry(index, message.text) for index, message in enumerate(ask.messages)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


PIXEL = (  # a PNG of one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def _images(ask: Ask, said: str) -> Json:
    """Return as many pictures as were asked for: one grey pixel, or addresses that lead nowhere.

    What the model would say of it stands in `revised_prompt`.
    """
    picture = {"b64_json": PIXEL, "revised_prompt": said}
    if ask.body.get("response_format") == "url":
        picture = {"url": "http://127.0.0.1:9/picture.png", "revised_prompt": said}
    count = whole_number(ask.body.get("n")) or 1
    return {"created": int(time.time()), "data": [picture] * count}
