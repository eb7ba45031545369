"""OpenAI's other dialect: POST /responses, with its typed events."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from ..answers import Answer, Ask, Message, Tool, ToolCall, ToolChoice, new_id
from ..http import Json, Request, Script
from ..seals import seal
from ..wording import openai as wording
from .base import Refused, dicts, dumps, obj, sse, text_of, whole_number
from .openai import OpenAI

REASONS = re.compile(r"^(?:o\d|gpt-5(?!-chat))")  # models that think before they speak
SEARCHES = ("web_search", "web_search_preview")


class OpenAIResponses(OpenAI):
    ending = b""  # no last word: the event `response.completed` is the end

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        try:
            body = request.json()
        except ValueError:
            message = "We could not parse the JSON body of your request."
            raise Refused(wording.error(400, message, wording.INVALID)) from None
        wanted = body.get("model")
        if not isinstance(wanted, str) or not wanted:
            message = "Missing required parameter: 'model'."
            code = "missing_required_parameter"
            raise Refused(wording.error(400, message, wording.INVALID, code, "model"))
        tools = dicts(body.get("tools"))
        return Ask(
            name,
            self.name,
            wanted,
            bool(body.get("stream")),
            body,
            messages=_messages(body),
            tools=[
                Tool(str(each.get("name")), obj(each.get("parameters")))
                for each in tools
                if each.get("type") == "function"
            ],
            choice=_choice(body.get("tool_choice")),
            schema=_schema(obj(obj(body.get("text")).get("format"))),
            max_tokens=whole_number(body.get("max_output_tokens")),
            variant=variant,
            thinks=REASONS.match(wanted) is not None,
            searches=any(each.get("type") in SEARCHES for each in tools),
        )

    def whole(self, ask: Ask, answer: Answer) -> Json:
        return _response(ask, answer, new_id("resp_"), list(_items(ask, answer)))

    def script(self, ask: Ask, answer: Answer) -> Script:
        return _Events(ask, answer).script()

    def nothing(self, ask: Ask) -> Json:
        answer = Answer(ask.model, (), (), "stop", ask.prompt_tokens)
        return _response(ask, answer, new_id("resp_"), [])

    def error_event(self, ask: Ask) -> bytes:
        error = {"code": "server_error", "message": wording.SERVER_ERROR, "param": None}
        return sse({"type": "error", "sequence_number": 1, **error}, "error")

    def frame(self, text: str) -> bytes:
        return f"event: response.created\ndata: {text}\n\n".encode()


def _messages(body: Json) -> list[Message]:
    told = body.get("instructions")
    found = [Message("system", told)] if isinstance(told, str) and told else []
    given = body.get("input")
    if isinstance(given, str):
        return [*found, Message("user", given)]
    for item in dicts(given):
        if str(item.get("type")).endswith("_output"):
            found.append(Message("tool", text_of(item.get("output"))))
        elif "role" in item:
            found.append(Message(str(item["role"]), text_of(item.get("content"))))
        else:
            found.append(Message("assistant", ""))
    return found


def _choice(value: Any) -> ToolChoice:
    match value:
        case {"type": "function", "name": str(name)}:
            return ToolChoice("forced", name)
        case "required":
            return ToolChoice("forced")
    return ToolChoice("none" if value == "none" else "auto")


def _schema(form: Json) -> Json | None:
    match form:
        case {"type": "json_schema", "schema": dict(schema)}:
            return schema
        case {"type": "json_object"}:
            return {}
    return None


def _items(ask: Ask, answer: Answer) -> Iterator[Json]:
    """Yield what the model does: it thinks, searches, speaks, calls."""
    if answer.thinking:
        named = new_id("rs_")
        wanted = "reasoning.encrypted_content" in (ask.body.get("include") or ())
        sealed = {"encrypted_content": seal("openai", named)} if wanted else {}
        yield {"type": "reasoning", "id": named, "summary": _summary(ask, answer), **sealed}
    if answer.searched:
        action = {"type": "search", "query": answer.searched}
        yield {"type": "web_search_call", "id": new_id("ws_"), "status": "completed",
               "action": action}  # fmt: skip
    if answer.text or not answer.calls:
        yield {"type": "message", "id": new_id("msg_"), "role": "assistant", "status": "completed",
               "content": [_spoken(answer.text)]}  # fmt: skip
    for call in answer.calls:
        yield _call(call)


def _summary(ask: Ask, answer: Answer) -> list[Json]:
    told = obj(ask.body.get("reasoning")).get("summary")
    return [{"type": "summary_text", "text": answer.thinking}] if told else []


def _spoken(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(call: ToolCall) -> Json:
    return {
        "type": "function_call",
        "id": new_id("fc_"),
        "call_id": call.id,
        "name": call.name,
        "arguments": dumps(call.arguments),
        "status": "completed",
    }


def _response(ask: Ask, answer: Answer, id: str, output: list[Json], **more: Any) -> Json:
    cut = answer.finish == "length"
    reason = {"reason": "content_filter" if answer.finish == "filter" else "max_output_tokens"}
    whole = answer.finish in ("stop", "tool")
    counts = {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
    return {
        "id": id,
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed" if whole else "incomplete",
        "error": None,
        "incomplete_details": reason if cut or answer.finish == "filter" else None,
        "instructions": ask.body.get("instructions"),
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "store": ask.body.get("store", True),
        "tool_choice": ask.body.get("tool_choice", "auto"),
        "tools": ask.body.get("tools") or [],
        "usage": counts,
        **more,
    }


class _Events:
    """The events of one stream: each has its number, and those of an item its place."""

    def __init__(self, ask: Ask, answer: Answer) -> None:
        self._ask, self._answer = ask, answer
        self._id = new_id("resp_")
        self._number = 0

    def script(self) -> Script:
        answer = self._answer
        begun = _response(self._ask, answer, self._id, [], status="in_progress", usage=None)
        opening = self._event("response.created", response=begun)
        opening += self._event("response.in_progress", response=begun)
        items, pieces = list(_items(self._ask, answer)), list[bytes]()
        for place, item in enumerate(items):
            pieces += self._item(place, item)
        if answer.finish is None:  # the end is withheld
            return Script(opening, tuple(pieces))
        whole = _response(self._ask, answer, self._id, items)
        return Script(opening, tuple(pieces), self._event(f"response.{whole['status']}",
                                                          response=whole))  # fmt: skip

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return sse({"type": kind, "sequence_number": self._number - 1, **fields}, kind)

    def _item(self, place: int, item: Json) -> list[bytes]:
        """Return the pieces of an item: its start sticks to the first, its end to the last."""
        at: Json = {"output_index": place, "item_id": item["id"]}
        bare = {**item, "status": "in_progress"} if "status" in item else item
        kind = item["type"]
        if kind == "message":
            bare = {**bare, "content": []}
        elif kind == "function_call":
            bare = {**bare, "arguments": ""}
        start = self._event("response.output_item.added", output_index=place, item=bare)
        said = {"message": self._text, "function_call": self._arguments}.get(kind)
        pieces = said(at, item) if said else []
        end = self._event("response.output_item.done", output_index=place, item=item)
        pieces = pieces or [b""]
        pieces[0] = start + pieces[0]
        pieces[-1] += end
        return pieces

    def _text(self, at: Json, item: Json) -> list[bytes]:
        at = {**at, "content_index": 0}
        part = item["content"][0]
        begun = self._event("response.content_part.added", **at, part={**part, "text": ""})
        name = "response.output_text"
        pieces = [
            self._event(f"{name}.delta", **at, delta=piece, logprobs=[])
            for piece in self._answer.pieces
        ] or [b""]
        pieces[0] = begun + pieces[0]
        pieces[-1] += self._event(f"{name}.done", **at, text=part["text"], logprobs=[])
        pieces[-1] += self._event("response.content_part.done", **at, part=part)
        return pieces

    def _arguments(self, at: Json, item: Json) -> list[bytes]:
        whole, name = item["arguments"], "response.function_call_arguments"
        half = len(whole) // 2
        pieces = [
            self._event(f"{name}.delta", **at, delta=part) for part in (whole[:half], whole[half:])
        ]
        pieces[-1] += self._event(f"{name}.done", **at, arguments=whole, name=item["name"])
        return pieces
