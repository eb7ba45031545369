"""What an event must look like so that nobody who reads it can lose a word of it.

Libraries pass over, or turn into nothing, what stands in the wrong place: a text that is a
number, a list that is a word.  What is null is absent, and what has no place in a form is
nobody's business.  Sources: the API references of OpenAI (chat completion chunks, Responses
events), Anthropic (streaming messages), Google (GenerateContentResponse), Cohere (v2 chat
stream events), and Ollama's `api.ChatResponse`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pilotlight.wire.tap import Wire

Form = Any
"""The types of a plain value, a dict of forms by name, a list with the form of its items, or
a function from an object to its form."""

_TEXT: Final = (str,)
_NUMBER: Final = (int,)
_YES_OR_NO: Final = (bool,)
_PARTS: Final[Form] = [{"text": _TEXT}]


def _content(said: Any) -> Form:
    """A text, or parts as Mistral's reasoning models send them."""
    return _PARTS if type(said) is list else _TEXT


_CALL: Final[Form] = {"function": {"name": _TEXT, "arguments": (str, dict)}}
_DELTA: Final[Form] = {
    "content": _content,
    "reasoning_content": _TEXT,
    "refusal": _TEXT,
    "tool_calls": [_CALL],
}
_CHOICE: Final[Form] = {
    "index": _NUMBER,
    "finish_reason": _TEXT,
    "delta": _DELTA,
    "text": _TEXT,
}
_OPENAI: Final[Form] = {"choices": [_CHOICE], "type": _TEXT}
_BLOCK: Final[Form] = {
    "type": _TEXT,
    "text": _TEXT,
    "partial_json": _TEXT,
    "thinking": _TEXT,
    "stop_reason": _TEXT,
}
_ANTHROPIC: Final[Form] = {"type": _TEXT, "delta": _BLOCK, "content_block": _BLOCK}
_PART: Final[Form] = {"text": _TEXT, "functionCall": {"name": _TEXT}}
_GEMINI: Final[Form] = {
    "candidates": [{"index": _NUMBER, "finishReason": _TEXT, "content": {"parts": [_PART]}}]
}
_COHERE_BLOCK: Final[Form] = {"type": _TEXT, "text": _TEXT, "thinking": _TEXT}


def _one_or_several(form: Form) -> Form:
    """One of a kind, or a list of them: Cohere's first event has empty lists, the next have one."""
    return lambda said: [form] if type(said) is list else form


_COHERE: Final[Form] = {
    "type": _TEXT,
    "index": _NUMBER,
    "delta": {
        "finish_reason": _TEXT,
        "message": {
            "content": _one_or_several(_COHERE_BLOCK),
            "tool_calls": _one_or_several(_CALL),
            "tool_plan": _TEXT,
            "citations": _one_or_several({}),
        },
    },
}
_MESSAGE: Final[Form] = {"content": _TEXT, "thinking": _TEXT, "tool_calls": [_CALL]}
_OLLAMA: Final[Form] = {"message": _MESSAGE, "response": _TEXT, "done": _YES_OR_NO}
FORMS: Final[Mapping[Wire, Form]] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "cohere": _COHERE,
    "ollama": _OLLAMA,
}
# What a delta of Anthropic's must hold, by its type.
_SAID: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
}


def odd(event: Mapping[str, Any], form: Form) -> str:
    """Return the name of what does not have its form; "" if everything has."""
    for name, value in event.items():
        inner = form.get(name)
        if inner is not None and value is not None and (found := _odd(value, inner)) is not None:
            return found or name
    return ""


def _odd(value: Any, form: Form) -> str | None:
    """Return what is odd inside a value; "" for the value itself, None for nothing."""
    if type(form) is tuple:
        return None if type(value) in form else ""
    if type(form) is dict:
        return (odd(value, form) or None) if type(value) is dict else ""
    if type(form) is not list:
        return _odd(value, form(value))
    if type(value) is not list:
        return ""
    for item in value:
        if (found := _odd(item, form[0])) is not None:
            return found
    return None


def odd_evidence(name: str) -> str:
    """Return the words for it."""
    return f"an event with an odd {name}"


def odd_event(event: Mapping[str, Any], wire: Wire) -> str:
    """Return what is odd about an event for readers other than ours; "" for nothing.

    They take for granted what the API promises: a list of choices, a delta in each.
    """
    found = odd(event, FORMS[wire]) or ("delta" if _lacks_delta(event, wire) else "")
    if found or wire != "openai" or "choices" not in event:
        return found
    choices = event["choices"]
    if choices is None:
        return "choices"
    return "delta" if any(choice.get("delta", choice) is None for choice in choices) else ""


def _lacks_delta(event: Mapping[str, Any], wire: Wire) -> bool:
    kind, delta = event.get("type") or "", event.get("delta")
    if wire == "openai":
        return kind.endswith("text.delta") and type(delta) is not str
    if wire == "cohere":
        return _lacks_content(kind, delta)
    if wire != "anthropic" or kind != "content_block_delta":
        return False
    said = None if delta is None else _SAID.get(delta.get("type") or "")
    return delta is None or (said is not None and delta.get(said) is None)


def _lacks_content(kind: str, delta: Any) -> bool:
    """Tell an event of Cohere's that should bring a piece of the answer, and brings none."""
    name = _BROUGHT.get(kind)
    if name is None:
        return not kind  # every event has a type
    message = (delta or {}).get("message") or {}
    said = message.get(name)
    if name == "content":
        return type(said) is not dict or said.get("text", said.get("thinking")) is None
    if name == "tool_calls":
        return type(said) is not dict or said.get("function") is None
    return said is None


_BROUGHT: Final[Mapping[str, str]] = {
    "content-delta": "content",
    "tool-plan-delta": "tool_plan",
    "tool-call-start": "tool_calls",
    "tool-call-delta": "tool_calls",
}


@cache
def usual_chunk() -> Callable[[bytes], bool]:
    """Return how to tell of an event that it is a chat chunk as OpenAI promises it.

    Nearly every event is, and to see that takes a quarter of the time that it takes to read one
    and look for what is odd.  False says nothing.
    """
    from pydantic_core import SchemaValidator, ValidationError

    # An error has no choices; an event with a type is of another API.
    chunk = {**_OPENAI, "type": (), "error": ()}
    validate = SchemaValidator(_schema(chunk)).validate_json

    def usual(data: bytes) -> bool:
        try:
            validate(data)
        except ValidationError:
            return False
        return True

    return usual


_NEEDED: Final = frozenset({"choices", "delta"})  # in a chunk each of these is there, and not null


def _schema(form: Form) -> Any:
    """Return pydantic's schema of what has this form; of content in parts, none."""
    from pydantic_core import core_schema as schemas

    if type(form) is list:
        return schemas.list_schema(_schema(form[0]))
    if type(form) is dict:
        fields = {}
        for name, inner in form.items():
            needed, each = name in _NEEDED, _schema(inner)
            given = each if needed else schemas.nullable_schema(each)
            fields[name] = schemas.typed_dict_field(given, required=needed)
        return schemas.typed_dict_schema(fields, extra_behavior="ignore")
    plain = {
        str: schemas.str_schema(strict=True),
        int: schemas.int_schema(strict=True),
        dict: schemas.dict_schema(strict=True),
    }
    kinds = form if type(form) is tuple else _TEXT
    return schemas.union_schema([plain[kind] for kind in kinds]) if kinds else schemas.none_schema()
