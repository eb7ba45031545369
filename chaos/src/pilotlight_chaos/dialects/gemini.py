"""Gemini's dialect: generateContent, streamGenerateContent, and its embeddings."""

from __future__ import annotations

from typing import Any, ClassVar

from ..answers import (
    Answer,
    Ask,
    Finish,
    Message,
    Tool,
    ToolChoice,
    embedding,
    new_id,
)
from ..faults import Fault
from ..http import Json, Reply, Request, Script
from ..seals import seal
from ..wording import gemini as wording
from .base import Dialect, Refused, dicts, dumps, obj, sse, text_of, whole_number

FINISH: dict[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool": "STOP",  # there is no reason for tool calls
    "filter": "SAFETY",
}
ROLES = {"model": "assistant", "function": "tool"}


class Gemini(Dialect):
    name = "gemini"
    stream_type = "text/event-stream"
    headers: ClassVar = {"server": wording.HEADERS["server"], "vary": "Origin"}

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        try:
            body = request.json()
        except ValueError:
            message = "Invalid JSON payload received."
            raise Refused(wording.error(400, message, "INVALID_ARGUMENT")) from None
        if variant in ("embedContent", "batchEmbedContents"):
            given = dicts(body.get("requests")) if variant.startswith("batch") else [body]
            texts = tuple(_message(each.get("content")) for each in given)
            return Ask(name, self.name, model, False, body, texts, variant=variant)
        config = obj(_any(body, "generationConfig", "generation_config"))
        system = _any(body, "systemInstruction", "system_instruction")
        messages = [Message("system", _message(system).text)] if system else []
        messages += [_message(each) for each in dicts(body.get("contents"))]
        return Ask(
            name,
            self.name,
            model,
            variant == "streamGenerateContent",
            body,
            messages=messages,
            tools=_tools(body),
            choice=_choice(obj(_any(body, "toolConfig", "tool_config"))),
            schema=_schema(config),
            max_tokens=whole_number(_any(config, "maxOutputTokens", "max_output_tokens")),
            variant=variant,
            thinks=_thinks(model, config),
            searches=any("googleSearch" in tool for tool in dicts(body.get("tools"))),
        )

    def whole(self, ask: Ask, answer: Answer) -> Json:
        if ask.variant == "embedContent":
            return {"embedding": _vector(ask, 0)}
        if ask.variant == "batchEmbedContents":
            return {"embeddings": [_vector(ask, i) for i in range(len(ask.messages))]}
        parts = _thoughts(ask, answer)
        if answer.text:
            parts.append({"text": answer.text, **_signed(answer, "text")})
        parts += _calls(answer)
        body = _chunk(answer, new_id("resp"), parts, answer.finish, answer.completion_tokens)
        body["candidates"][0] |= _grounding(answer)
        return body

    def script(self, ask: Ask, answer: Answer) -> Script:
        said = new_id("resp")
        bodies = [_chunk(answer, said, [thought], None, 0) for thought in _thoughts(ask, answer)]
        bodies += [
            _chunk(answer, said, [{"text": piece}], None, count)
            for count, piece in enumerate(answer.pieces, 1)
        ]
        bodies += [
            _chunk(answer, said, [part], None, answer.completion_tokens) for part in _calls(answer)
        ]
        end = {"text": "", **(_signed(answer, "text") if answer.pieces else {})}
        last = _chunk(answer, said, [end], answer.finish, answer.completion_tokens)
        last["candidates"][0] |= _grounding(answer)
        return Script(b"", tuple(_event(body) for body in bodies), _event(last))

    def nothing(self, ask: Ask) -> Json:
        usage = {"promptTokenCount": ask.prompt_tokens, "totalTokenCount": ask.prompt_tokens}
        return {"usageMetadata": usage, "modelVersion": ask.model}

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return wording.refusal(ask, fault)

    def error_in_200(self, ask: Ask) -> Json:
        return wording.error_body(503, wording.OVERLOADED, "UNAVAILABLE")

    def error_event(self, ask: Ask) -> bytes:
        return _event(self.error_in_200(ask))

    def frame(self, text: str) -> bytes:
        return f"data: {text}\r\n\r\n".encode()

    def filters_in_answer(self, fault: Fault) -> bool:
        return True


def _event(body: Json) -> bytes:
    return sse(body, end="\r\n\r\n")


def _any(body: Json, *names: str) -> Any:
    """Return a field that may be written in camel or in snake case; both are accepted."""
    return next((body[name] for name in names if name in body), None)


def _message(content: Any) -> Message:
    content = obj(content)
    parts = dicts(content.get("parts"))
    if any("functionResponse" in part or "function_response" in part for part in parts):
        return Message("tool", dumps(parts))
    role = str(content.get("role") or "user")
    return Message(ROLES.get(role, role), text_of(parts))


def _tools(body: Json) -> list[Tool]:
    found = []
    for each in dicts(body.get("tools")):
        for function in dicts(_any(each, "functionDeclarations", "function_declarations")):
            schema = _any(function, "parameters", "parametersJsonSchema", "parameters_json_schema")
            found.append(Tool(str(function.get("name")), obj(schema)))
    return found


def _choice(config: Json) -> ToolChoice:
    calling = obj(_any(config, "functionCallingConfig", "function_calling_config"))
    names = _any(calling, "allowedFunctionNames", "allowed_function_names") or [None]
    match str(calling.get("mode") or "AUTO").upper():
        case "ANY":
            return ToolChoice("forced", names[0])
        case "NONE":
            return ToolChoice("none")
    return ToolChoice()


def _schema(config: Json) -> Json | None:
    kind = _any(config, "responseMimeType", "response_mime_type")
    names = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
    schema = _any(config, *names)
    if isinstance(schema, dict):
        return schema
    return {} if kind == "application/json" else None


def _thinks(model: str, config: Json) -> bool:
    thinking = obj(_any(config, "thinkingConfig", "thinking_config"))
    asked = bool(thinking) and _any(thinking, "thinkingBudget", "thinking_budget") != 0
    return asked or model.startswith(("gemini-3", "gemini-4"))


def _thoughts(ask: Ask, answer: Answer) -> list[Json]:
    config = obj(_any(ask.body, "generationConfig", "generation_config"))
    thinking = obj(_any(config, "thinkingConfig", "thinking_config"))
    shown = answer.thinking and _any(thinking, "includeThoughts", "include_thoughts")
    return [{"text": answer.thinking, "thought": True}] if shown else []


def _signed(answer: Answer, what: str) -> Json:
    """Return the signature of a part of a model that thinks: of a call by its name."""
    return {"thoughtSignature": seal("gemini", what)} if answer.thinking else {}


def _calls(answer: Answer) -> list[Json]:
    """Return the calls; of those at once only the first is signed."""
    calls = [{"functionCall": {"name": c.name, "args": c.arguments}} for c in answer.calls]
    return [each | (_signed(answer, answer.calls[0].name) if i == 0 else {})
            for i, each in enumerate(calls)]  # fmt: skip


def _grounding(answer: Answer) -> Json:
    if not answer.searched:
        return {}
    page = {"web": {"uri": "https://example.com/", "title": "Example"}}
    return {"groundingMetadata": {"webSearchQueries": [answer.searched], "groundingChunks": [page]}}


def _chunk(
    answer: Answer, said: str, parts: list[Json], finish: Finish | None, tokens: int
) -> Json:
    """Return a piece of the answer that is called `said`: all its pieces have one name."""
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = FINISH[finish]
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": answer.prompt_tokens,
            "candidatesTokenCount": tokens,
            "totalTokenCount": answer.prompt_tokens + tokens,
        },
        "modelVersion": answer.model,
        "responseId": said,
    }


def _vector(ask: Ask, index: int) -> Json:
    return {"values": embedding(ask.messages[index].text)}
