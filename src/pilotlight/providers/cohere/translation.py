"""How Cohere's v2 chat speaks: a call written in its JSON, its answers and events read.

Only JSON in and JSON out.  Source of the shapes: Cohere's API reference, v2 `chat` and
`chat_stream`, the types of its Python SDK, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.providers.replies import flattened
from pilotlight.providers.shapes import Shape
from pilotlight.wire.events.forms import odd_event
from pilotlight.wire.events.server_sent import EventDecoder, NamedEventDecoder
from pilotlight.wire.field_types import count_in, dict_in, list_in, odd, of, text_in

Json = dict[str, Any]

# Asking.

_SAME: Final = frozenset(
    """
    temperature max_tokens seed frequency_penalty presence_penalty tools response_format
    documents citation_options safety_mode strict_tools thinking stop_sequences k p
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
_RENAMED: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens", "top_p": "p", "top_k": "k", "stop": "stop_sequences",
}  # fmt: skip
# Of these Cohere has nothing, and litellm leaves them out too: a fallback that refused what the
# primary takes would be no fallback.
_LEFT_OUT: Final = frozenset(
    """
    stream_options logit_bias logprobs top_logprobs parallel_tool_calls user store metadata
    service_tier reasoning_effort verbosity prediction
    """.split()  # noqa: SIM905 - a list of them would fill a page
)
OPTIONS: Final = _SAME | _RENAMED.keys() | _LEFT_OUT | {"n", "tool_choice"}
_ROLES: Final[Mapping[str, str]] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant",
    "tool": "tool",
}  # fmt: skip
_CHOICES: Final = frozenset({"NONE", "REQUIRED"})
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("type", "text"),
    "image_url": ("type", "image_url"),
    "thinking": ("type", "thinking"),
    "document": ("type", "document"),
}


class _Unable(Exception):
    """There is something in the call that has no place in Cohere's JSON."""


def request(
    model: str, messages: Sequence[Any], options: Mapping[str, Any], *, stream: bool
) -> Json | None:
    """Return the body of a request; None for a call that can't be written whole."""
    body: Json = {"model": model.removeprefix("v2/")}
    try:
        body["messages"] = [_message(message) for message in messages]
        for name, value in options.items():
            if value is not None:
                body |= _option(name, value, options)
        if (choice := options.get("tool_choice")) is not None:
            body |= _tool_choice(choice, options.get("tools"))
    except _Unable:
        return None
    if stream:
        body["stream"] = True
    return body


def _option(name: str, value: Any, options: Mapping[str, Any]) -> Json:
    if name not in OPTIONS or (name == "n" and value != 1):
        raise _Unable
    if name == "response_format":
        return {name: _format(value)}
    if name == "stop" and isinstance(value, str):
        value = [value]
    if name == "max_tokens" and options.get("max_completion_tokens") is not None:
        return {}
    if name not in _SAME and name not in _RENAMED:
        return {}
    return {_RENAMED.get(name, name): value}


def _tool_choice(value: Any, tools: Any) -> Json:
    """A function by name is forced by showing no other."""
    if name := text_in(dict_in(value, "function"), "name"):
        named = [tool for tool in tools or () if of(of(tool, "function"), "name") == name]
        if not named:
            raise _Unable
        return {"tools": named, "tool_choice": "REQUIRED"}
    if not isinstance(value, str):
        raise _Unable
    if value == "auto":
        return {}
    if value.upper() not in _CHOICES:
        raise _Unable
    return {"tool_choice": value.upper()}


def _format(value: Any) -> Any:
    """OpenAI's `json_schema` is a `json_object` with a schema here."""
    if of(value, "type") != "json_schema":
        return value
    schema = dict_in(value, "json_schema").get("schema")
    return {"type": "json_object", **({"json_schema": schema} if schema else {})}


def _message(given: Any) -> Json:
    if not isinstance(given, dict) and (dump := getattr(given, "model_dump", None)) is not None:
        given = dump()  # an earlier answer's message, as a library holds it
    role = _ROLES.get(str(of(given, "role")))
    if role is None or not isinstance(given, dict):
        raise _Unable
    made: Json = {"role": role}
    if (content := given.get("content")) is not None:
        made["content"] = content if isinstance(content, str) else _parts(content)
    if role == "tool":
        made["tool_call_id"] = given.get("tool_call_id")
    if calls := list_in(given, "tool_calls"):
        made["tool_calls"] = [_call(call) for call in calls]
        if plan := text_in(dict_in(given, "provider_specific_fields"), "tool_plan"):
            made["tool_plan"] = plan
    if made.keys().isdisjoint(("content", "tool_calls")) or any(map(given.get, _NO_PLACE)):
        raise _Unable
    return made


_NO_PLACE: Final = ("function_call", "audio")


def _parts(content: Any) -> list[Json]:
    if not isinstance(content, list):
        raise _Unable
    made = []
    for part in content:
        names = _PARTS.get(str(of(part, "type")))
        if names is None or not isinstance(part, dict) or part.get(names[-1]) is None:
            raise _Unable
        made.append({name: part[name] for name in names})
    return made


def _call(call: Any) -> Json:
    function = of(call, "function")
    if of(call, "type") not in (None, "function") or not isinstance(function, dict):
        raise _Unable
    inner = {name: function.get(name) for name in ("name", "arguments")}
    return {"id": of(call, "id"), "type": "function", "function": inner}


# Answers.

_FINISH: Final[Mapping[str, str]] = {
    "COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls",
    "ERROR": "error", "TIMEOUT": "error", "ERROR_TOXIC": "content_filter", "ERROR_LIMIT": "length",
}  # fmt: skip


def answer(said: Json, **told: Any) -> Json:
    """Return a plain answer in OpenAI's shape; `told` is what it does not say itself: its model.

    Raises ProviderFault (malformed_response) where it does not hold what an answer must.
    """
    message = said.get("message")
    if not isinstance(message, dict):
        raise odd("message", message, "an object")
    made = {"role": "assistant", **_content(message.get("content"))}
    if (calls := message.get("tool_calls")) is not None:
        made["tool_calls"] = calls
    made |= _own(message, list_in(message, "citations"))
    choice = {"index": 0, "message": made, "finish_reason": _finish(said)}
    whole = {"id": said.get("id"), "object": "chat.completion", **told}
    return flattened({**whole, "choices": [choice], **_counted(said)})


def _content(parts: Any) -> Json:
    """Return what a message says: its texts as one, and its thoughts."""
    if parts is None or isinstance(parts, str):
        return {"content": parts}
    if not isinstance(parts, list):
        raise odd("message.content", parts, "a list")
    said: dict[str, str] = {"text": "", "thinking": ""}
    other = []
    for place, part in enumerate(parts):
        at = f"message.content[{place}]"
        if not isinstance(part, dict):
            raise odd(at, part, "an object")
        name = "thinking" if part.get("type") == "thinking" else "text"
        if (piece := part.get(name)) is None:
            other.append(part)
        elif isinstance(piece, str):
            said[name] += piece
        else:
            raise odd(f"{at}.{name}", piece, "a text")
    thought = {"reasoning_content": said["thinking"]} if said["thinking"] else {}
    return {"content": said["text"] or None, **thought, **({"other_parts": other} if other else {})}


def _own(message: Json, citations: list[Any]) -> Json:
    """Return what OpenAI's shape has no place for, and what is cited as its annotations."""
    own = {"tool_plan": message.get("tool_plan"), "citations": citations}
    own = {name: value for name, value in own.items() if value}
    notes = [note for citation in citations for note in _annotations(citation)]
    made: Json = {"provider_specific_fields": own} if own else {}
    return {**made, "annotations": notes} if notes else made


def _annotations(citation: Any) -> list[Json]:
    """Return one annotation for each document that is cited; tools have no address to cite."""
    made = []
    for source in list_in(citation, "sources"):
        document = of(source, "document")
        if of(source, "type") != "document" or not isinstance(document, dict):
            continue
        cited = {
            "start_index": count_in(citation, "start") or 0,
            "end_index": count_in(citation, "end") or 0,
            "title": text_in(document, "title") or "",
            "url": text_in(document, "url") or f"source:{text_in(source, 'id') or 'unknown'}",
        }
        made.append({"type": "url_citation", "url_citation": cited})
    return made


def _finish(said: Any) -> Any:
    reason = of(said, "finish_reason")
    return _FINISH.get(reason, reason) if isinstance(reason, str) else reason


def _counted(said: Any) -> Json:
    """Return the tokens, of which those that are billed are a part."""
    usage = dict_in(said, "usage")
    tokens = dict_in(usage, "tokens") or dict_in(usage, "billed_units")
    prompt, completion = count_in(tokens, "input_tokens"), count_in(tokens, "output_tokens")
    if prompt is None and completion is None:
        return {}
    made: Json = {
        "prompt_tokens": prompt or 0,
        "completion_tokens": completion or 0,
        "total_tokens": (prompt or 0) + (completion or 0),
    }
    if cached := count_in(usage, "cached_tokens"):
        made["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning := count_in(tokens, "reasoning_tokens"):
        made["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return {"usage": made}


# Streams.


class Reader:
    """Makes a chunk of OpenAI's of each event that says something."""

    __slots__ = ("_head", "events")

    def __init__(self, **told: Any) -> None:
        self.events: EventDecoder = NamedEventDecoder()
        self._head: Json = {"id": None, "object": "chat.completion.chunk", **told}

    def odd(self, event: Json) -> str:
        """Return what is odd about an event; "" for nothing."""
        return odd_event(event, "cohere")

    def chunk(self, event: Json) -> Json | None:
        """Return the chunk of an event, or None if it has nothing to say to a reader."""
        kind, delta = event.get("type"), dict_in(event, "delta")
        if kind == "message-end":
            choice = {"index": 0, "delta": {}, "finish_reason": _finish(delta)}
            return {**self._head, "choices": [choice], **_counted(delta)}
        if kind == "message-start":
            self._head["id"] = event.get("id")
            said: Json = {"role": "assistant"}
        else:
            said = _delta(str(kind), dict_in(delta, "message"), event.get("index"))
        if not said:
            return None
        return {**self._head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    def last(self) -> Json | None:
        """Hold nothing back."""
        return None

    def uncounted(self, chunk: Shape) -> Shape | None:
        """Return a chunk for a caller who did not ask for the tokens."""
        return Shape({name: chunk[name] for name in chunk if name != "usage"})


def _delta(kind: str, message: Json, index: Any) -> Json:
    if kind in ("content-delta", "content-start"):
        content = dict_in(message, "content")
        if text := content.get("text"):
            return {"content": text}
        thought = content.get("thinking")
        return {"reasoning_content": thought} if thought else {}
    if kind in ("tool-call-start", "tool-call-delta"):
        call = dict_in(message, "tool_calls")
        named = {"id": call.get("id"), "type": "function"} if kind == "tool-call-start" else {}
        return {"tool_calls": [{"index": index or 0, **named, "function": call.get("function")}]}
    if kind == "citation-start":
        citation = dict_in(message, "citations")
        return _own({}, [citation]) if citation else {}
    return _own(message, []) if kind == "tool-plan-delta" else {}


def address(base: str, operation: str = "chat") -> str:
    """Return where an operation is asked: an address without a path, or `/v2`, is completed.

    Any other is the full one, as litellm takes it.
    """
    base = base.rstrip("/")
    _, _, path = base.partition("://")[2].partition("/")
    if not path:
        return f"{base}/v2/{operation}"
    return f"{base}/{operation}" if path.endswith("v2") else base
