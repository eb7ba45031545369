"""Anthropic's dialect: messages."""

from __future__ import annotations

from typing import Any, ClassVar

from ..answers import Answer, Ask, Finish, Message, Tool, ToolCall, ToolChoice, new_id
from ..faults import Fault
from ..http import Json, Reply, Request, Script
from ..seals import seal
from ..wording import anthropic as wording
from .base import Dialect, Refused, dicts, dumps, obj, sse, text_of, whole_number

FINISH: dict[Finish | None, str | None] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool": "tool_use",
    "filter": "refusal",
    None: None,
}


class Anthropic(Dialect):
    name = "anthropic"
    headers: ClassVar = wording.HEADERS

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        try:
            body = request.json()
        except ValueError:
            message = "The request body is not valid JSON"
            raise Refused(wording.error(400, wording.INVALID, message)) from None
        for field, kind in (("model", str), ("max_tokens", int), ("messages", list)):
            if not isinstance(body.get(field), kind):
                message = f"{field}: Field required"
                raise Refused(wording.error(400, wording.INVALID, message))
        system = text_of(body.get("system"))
        messages = [Message("system", system)] if system else []
        messages += [_message(each) for each in dicts(body["messages"])]
        return Ask(
            name,
            self.name,
            body["model"],
            bool(body.get("stream")),
            body,
            messages=messages,
            tools=[
                Tool(str(each.get("name")), obj(each.get("input_schema")))
                for each in dicts(body.get("tools"))
            ],
            choice=_choice(body.get("tool_choice")),
            schema=_schema(body),
            max_tokens=whole_number(body["max_tokens"]),
            thinks=obj(body.get("thinking")).get("type") in ("enabled", "adaptive"),
            searches=any(_is_search(tool) for tool in dicts(body.get("tools"))),
        )

    def whole(self, ask: Ask, answer: Answer) -> Json:
        content = [*_thoughts(answer), *_searched(answer)]
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        content += [{**_tool_use(call), "input": call.arguments} for call in answer.calls]
        usage = _usage(answer.prompt_tokens, answer.completion_tokens)
        return _envelope(answer.model, content, FINISH[answer.finish], usage)

    def script(self, ask: Ask, answer: Answer) -> Script:
        start = _envelope(answer.model, [], None, _usage(answer.prompt_tokens, 1))
        opening = _event("message_start", message=start) + _event("ping")
        blocks = [(_begun(block), _deltas(block)) for block in _thoughts(answer)]
        blocks += [(block, []) for block in _searched(answer)]
        if answer.pieces:
            spoken = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
            blocks.append(({"type": "text", "text": ""}, spoken))
        for call in answer.calls:
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in _halves(call)]
            blocks.append((_tool_use(call), deltas))
        pieces = [each for i, (block, said) in enumerate(blocks) for each in _block(i, block, said)]
        delta = {"stop_reason": FINISH[answer.finish], "stop_sequence": None}
        usage = {"output_tokens": answer.completion_tokens}
        closing = _event("message_delta", delta=delta, usage=usage) + _event("message_stop")
        return Script(opening, tuple(pieces), closing)

    def nothing(self, ask: Ask) -> Json:
        return _envelope(ask.model, [], "end_turn", _usage(ask.prompt_tokens, 0))

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return wording.refusal(ask, fault)

    def error_in_200(self, ask: Ask) -> Json:
        return wording.error_body("overloaded_error", "Overloaded")

    def error_event(self, ask: Ask) -> bytes:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return _event("error", error=error)

    def heartbeat(self, ask: Ask) -> bytes:
        return _event("ping")

    def frame(self, text: str) -> bytes:
        kind = "error" if text.startswith('{"type":"error"') else "message_start"
        return f"event: {kind}\ndata: {text}\n\n".encode()


def _message(message: Json) -> Message:
    content = message.get("content")
    is_result = any(part.get("type") == "tool_result" for part in dicts(content))
    role = "tool" if is_result else str(message.get("role"))
    return Message(role, text_of(content))


def _choice(value: Any) -> ToolChoice:
    match value:
        case {"type": "tool", "name": str(name)}:
            return ToolChoice("forced", name)
        case {"type": "any"}:
            return ToolChoice("forced")
        case {"type": "none"}:
            return ToolChoice("none")
    return ToolChoice()


def _schema(body: Json) -> Json | None:
    wanted = body.get("output_format") or obj(body.get("output_config")).get("format")
    match wanted:
        case {"type": "json_schema", "schema": dict(schema)}:
            return schema
    return None


def _usage(prompt: int, completion: int) -> Json:
    return {
        "input_tokens": prompt,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": completion,
    }


def _envelope(model: str, content: list[Json], stop: str | None, usage: Json) -> Json:
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_use(call: ToolCall) -> Json:
    return {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}


def _is_search(tool: Json) -> bool:
    return str(tool.get("type")).startswith("web_search_")


def _thoughts(answer: Answer) -> list[Json]:
    if not answer.thinking:
        return []
    signature = seal("anthropic", answer.thinking)
    return [{"type": "thinking", "thinking": answer.thinking, "signature": signature}]


def _begun(thought: Json) -> Json:
    return {**thought, "thinking": "", "signature": ""}


def _deltas(thought: Json) -> list[Json]:
    return [
        {"type": "thinking_delta", "thinking": thought["thinking"]},
        {"type": "signature_delta", "signature": thought["signature"]},
    ]


def _searched(answer: Answer) -> list[Json]:
    """Return a search that ran on the server: its call and what it found, sealed."""
    if not answer.searched:
        return []
    used = new_id("srvtoolu_")
    asked = {"query": answer.searched}
    page = {
        "type": "web_search_result",
        "url": "https://example.com/",
        "title": "Example",
        "page_age": None,
        "encrypted_content": seal("anthropic", "https://example.com/"),
    }
    return [
        {"type": "server_tool_use", "id": used, "name": "web_search", "input": asked},
        {"type": "web_search_tool_result", "tool_use_id": used, "content": [page]},
    ]


def _halves(call: ToolCall) -> tuple[str, str]:
    text = dumps(call.arguments)
    return text[: len(text) // 2], text[len(text) // 2 :]


def _block(index: int, block: Json, deltas: list[Json]) -> list[bytes]:
    """Return the events of a content block: its start sticks to the first delta, its stop to
    the last, so that one piece stays one token."""
    pieces = [_event("content_block_delta", index=index, delta=delta) for delta in deltas] or [b""]
    pieces[0] = _event("content_block_start", index=index, content_block=block) + pieces[0]
    pieces[-1] += _event("content_block_stop", index=index)
    return pieces


def _event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)
