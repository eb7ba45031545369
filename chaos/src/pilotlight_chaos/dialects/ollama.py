"""Ollama's own dialect: chat, generate, embed and the legacy embeddings.

Shapes only.  What is installed, loaded and possible is `ollama_host.py`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from ..answers import Answer, Ask, Finish, Message, Tool, ToolCall, embedding
from ..faults import Fault
from ..http import Json, Reply, Request, Script
from ..wording import ollama as wording
from .base import Dialect, Refused, dicts, dumps, obj, text_of, whole_number

NANO = 1_000_000_000
TOKEN_NANOS = 20_000_000
FINISH: dict[Finish, str] = {"stop": "stop", "length": "length", "tool": "stop", "filter": "stop"}
LIST_AS_CONTENT = (
    "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string"
)


GO_VALUE = "looking for beginning of value"
GO_WORDS = {  # Python's words for broken JSON, and Go's
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
}


class Ollama(Dialect):
    name = "ollama"
    stream_type = "application/x-ndjson"
    headers: ClassVar = {}

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        body = read_body(request)
        wanted = str(body.get("model") or "")
        if not wanted and variant == "chat":
            raise Refused(wording.error(400, "model is required"))
        if variant in ("embed", "embeddings"):
            return Ask(name, self.name, wanted, False, body, _inputs(body), variant=variant)
        if variant == "chat" and any(isinstance(m.get("content"), list) for m in _messages(body)):
            raise Refused(wording.error(400, LIST_AS_CONTENT))
        if not 0 <= (whole_number(body.get("top_logprobs", 0)) or 0) <= 20:
            raise Refused(wording.error(400, "top_logprobs must be between 0 and 20"))
        options = obj(body.get("options"))
        ask = Ask(
            name,
            self.name,
            wanted,
            bool(body.get("stream", True)),  # streams unless told not to
            body,
            messages=_prompt(body) if variant == "generate" else _conversation(body),
            tools=[_tool(each) for each in dicts(body.get("tools"))],
            schema=_schema(body.get("format")),
            max_tokens=whole_number(options.get("num_predict")),
            variant=variant,
        )
        _check_think(ask)
        return ask

    def whole(self, ask: Ask, answer: Answer) -> Json:
        if ask.variant == "embed":
            return _embed(ask, answer)
        if ask.variant == "embeddings":
            text = ask.messages[0].text if ask.messages else ""
            return {"embedding": embedding(text) if text else []}
        said = _said(ask, answer.text, answer.thinking, answer.calls)
        return _object(ask, answer, said, last=True)

    def script(self, ask: Ask, answer: Answer) -> Script:
        said = [_said(ask, "", answer.thinking)] if answer.thinking else []
        said += [_said(ask, piece) for piece in answer.pieces]
        if answer.calls:  # all calls come whole, in one chunk
            said.append(_said(ask, "", calls=answer.calls))
        lines = tuple(_line(_object(ask, answer, each, last=False)) for each in said)
        return Script(b"", lines, _line(_object(ask, answer, _said(ask, ""), last=True)))

    def nothing(self, ask: Ask) -> Json:
        if ask.variant == "embed":
            return {"model": ask.model, "embeddings": []}
        return done_only(ask, "load")

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return wording.refusal(ask, fault)

    def error_in_200(self, ask: Ask) -> Json:
        return {"error": wording.IN_A_200}

    def error_event(self, ask: Ask) -> bytes:
        return _line({"error": wording.MID_STREAM})

    def frame(self, text: str) -> bytes:
        return f"{text}\n".encode()

    def heartbeat(self, ask: Ask) -> bytes:
        """Return an empty token: there are no comments and no blank lines here."""
        body = {"model": ask.model, "created_at": timestamp(), **_said(ask, ""), "done": False}
        return _line(body)

    def headers_for(self, *, stream: bool) -> dict[str, str]:
        return {"content-type": self.stream_type} if stream else dict(wording.JSON_HEADERS)


def read_body(request: Request) -> Json:
    """Read a request's body; errors are worded as Go's JSON decoder words them."""
    if not request.body.strip():
        raise Refused(wording.error(400, "missing request body"))
    try:
        return request.json()
    except json.JSONDecodeError as odd:
        raise Refused(wording.error(400, _as_go_says(odd))) from None
    except ValueError:
        text = "json: cannot unmarshal array into Go value of type api.ChatRequest"
        raise Refused(wording.error(400, text)) from None


def _as_go_says(odd: json.JSONDecodeError) -> str:
    rest = odd.doc[odd.pos :].lstrip()
    if not rest or "Unterminated" in odd.msg:
        return "unexpected EOF"
    expected = next((go for python, go in GO_WORDS.items() if python in odd.msg), GO_VALUE)
    return f"invalid character '{rest[0]}' {expected}"


def done_only(ask: Ask, reason: str) -> Json:
    """Return the answer to a request that says nothing: loaded, or unloaded."""
    body = {"model": ask.model, "created_at": timestamp(), **_said(ask, "")}
    return {**body, "done": True, "done_reason": reason}


def timestamp(seconds: float | None = None) -> str:
    when = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _messages(body: Json) -> list[Json]:
    return dicts(body.get("messages"))


def _conversation(body: Json) -> list[Message]:
    return [
        Message(str(each.get("role")).lower(), text_of(each.get("content")))
        for each in _messages(body)
    ]


def _prompt(body: Json) -> list[Message]:
    system = body.get("system")
    messages = [Message("system", str(system))] if system else []
    prompt = str(body.get("prompt") or "")
    return [*messages, Message("user", prompt)] if prompt else []


def _inputs(body: Json) -> list[Message]:
    given = body.get("input", body.get("prompt"))
    if given is None or given == "":
        return []
    if not isinstance(given, str | list):
        raise Refused(wording.error(400, "invalid input type"))
    return [Message("user", str(each)) for each in ([given] if isinstance(given, str) else given)]


def _tool(tool: Json) -> Tool:
    function = obj(tool.get("function"))
    return Tool(str(function.get("name")), obj(function.get("parameters")))


def _schema(wanted: Any) -> Json | None:
    if wanted in (None, ""):
        return None
    if wanted == "json":
        return {}
    if isinstance(wanted, dict):
        return wanted
    text = f'invalid format: {dumps(dumps(wanted))}; expected "json" or a valid JSON Schema object'
    raise Refused(wording.error(500, text))


def _check_think(ask: Ask) -> None:
    think = ask.body.get("think")
    if think not in (None, True, False, "low", "medium", "high", "max"):
        raise Refused(wording.error(400, wording.BAD_THINK.replace('"x"', dumps(think), 1)))


def _said(ask: Ask, text: str, thinking: str = "", calls: tuple[ToolCall, ...] = ()) -> Json:
    """Return the part of an object that carries the text, by endpoint."""
    more: Json = {"thinking": thinking} if thinking else {}
    if calls:
        more["tool_calls"] = [
            {**({"id": c.id} if c.id else {}), "function": _function(i, c)}
            for i, c in enumerate(calls)
        ]
    if ask.variant == "generate":
        return {"response": text, **more}
    return {"message": {"role": "assistant", "content": text, **more}}


def _function(index: int, call: ToolCall) -> Json:
    return {"index": index, "name": call.name, "arguments": call.arguments}


def _object(ask: Ask, answer: Answer, said: Json, *, last: bool) -> Json:
    body = {"model": answer.model, **answer.extra, "created_at": timestamp(), **said}
    if not last or answer.finish is None:
        return {**body, "done": False}
    body |= {"done": True, "done_reason": FINISH[answer.finish]}
    if ask.variant == "generate" and not ask.body.get("raw"):
        body["context"] = [1, 2, 3]
    prompt, tokens = answer.prompt_tokens, answer.completion_tokens
    load = int(answer.load_seconds * NANO) + 1_000_000  # small, not zero, when warm
    counts = {
        "total_duration": load + (prompt + tokens) * TOKEN_NANOS,
        "load_duration": load,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": prompt * TOKEN_NANOS,
        "eval_count": tokens,
        "eval_duration": tokens * TOKEN_NANOS,
    }
    return body | {name: value for name, value in counts.items() if value}  # Go's omitempty


def _embed(ask: Ask, answer: Answer) -> Json:
    size = whole_number(ask.body.get("dimensions")) or 8
    body: Json = {
        "model": answer.model,
        "embeddings": [embedding(message.text, size) for message in ask.messages],
    }
    if ask.messages:
        body |= {"total_duration": 2_000_000, "load_duration": 1_000_000}
        body["prompt_eval_count"] = ask.prompt_tokens
    return body


def _line(body: Json) -> bytes:
    text = dumps(body)
    for char, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):  # as Go does
        text = text.replace(char, escape)
    return f"{text}\n".encode()
