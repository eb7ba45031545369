"""What is asked and what is answered, in no provider's words.

Owns the rules of the scripted model:

* Text: the server's `reply`, or a sentence that says which model answered and echoes the user.
* A tool call when tools are given and either the tool choice forces it, or the last message is
  the user's and contains a tool's name or the word "tool".  Tool choice "none" wins over all.
  With `eager_tools` the user need not mention it.
* JSON when a response format asks for it: a value made up from the schema.
* The answer is cut at the token limit, with finish "length".
* A `lifelike` model thinks before it speaks where it is asked to, and searches the web with its
  vendor's own tool when the user speaks of a search.

Tokens: a completion token is one streamed piece (a word with the space after it); a prompt token
is four characters, plus four tokens a message, as estimators commonly reckon.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .http import Json

Finish = Literal["stop", "length", "tool", "filter"]
ANY_JSON: Json = {  # what a request for "some JSON" gets, having named no schema
    "type": "object",
    "properties": {"answer": {"type": "string"}, "ok": {"type": "boolean"}},
}
THINKING = "The user wants an answer. "
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Message:
    role: str  # system, user, assistant or tool
    text: str

    @property
    def tokens(self) -> int:
        return count_tokens(self.text) + 4


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class ToolChoice:
    mode: Literal["auto", "none", "forced"] = "auto"
    name: str | None = None  # forced: this one; None: any


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """One model request, whatever the dialect."""

    name: str
    dialect: str
    model: str
    stream: bool
    body: Json
    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    choice: ToolChoice = field(default_factory=ToolChoice)
    schema: Json | None = None  # set: answer with JSON
    max_tokens: int | None = None
    variant: str = ""  # which of a dialect's endpoints, where answers differ
    openai: bool = False  # put to Ollama in OpenAI's shape, which can say less
    thinks: bool = False  # thoughts are asked for, and are to be shown or sealed
    searches: bool = False  # the vendor's own search is among the tools

    @property
    def last_user_text(self) -> str:
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def prompt_tokens(self) -> int:
        return sum(message.tokens for message in self.messages)


Replier: TypeAlias = Callable[[Ask], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the scripted model says."""

    model: str
    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish: Finish | None  # None: the terminal signal is withheld
    prompt_tokens: int
    thinking: str = ""
    searched: str = ""  # what the vendor's own search was asked for; empty: it was not used
    load_seconds: float = 0.0  # of a local model
    extra: Json = field(default_factory=dict)  # what a stub adds to every object of an answer

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def completion_tokens(self) -> int:
        return len(self.pieces) + sum(count_tokens(json.dumps(c.arguments)) for c in self.calls)


def answer(
    ask: Ask, reply: str | Replier | None, *, eager_tools: bool = False, lifelike: bool = False
) -> Answer:
    """Say what the scripted model answers; deterministic but for the ids of tool calls."""
    calls = tuple(_tool_calls(ask, eager_tools))
    thinking = THINKING if lifelike and ask.thinks else ""
    searches = lifelike and ask.searches and "search" in ask.last_user_text.lower()
    searched = ask.last_user_text[:100] if searches else ""
    text = "" if calls else _text(ask, reply)
    pieces = tuple(split(text))
    finish: Finish = "tool" if calls else "stop"
    if ask.max_tokens is not None and len(pieces) > ask.max_tokens:
        pieces, finish = pieces[: ask.max_tokens], "length"
    return Answer(ask.model, pieces, calls, finish, ask.prompt_tokens, thinking, searched)


def _text(ask: Ask, reply: str | Replier | None) -> str:
    if callable(reply):
        return reply(ask)
    if ask.schema is not None:
        return json.dumps(sample(ask.schema or ANY_JSON, ask.last_user_text))
    if reply is not None:
        return reply
    heard = " ".join(ask.last_user_text.split())[:200]
    return f'This is {ask.model} at {ask.name}. You said: "{heard}"'


def _tool_calls(ask: Ask, eager: bool) -> list[ToolCall]:
    if not ask.tools or ask.choice.mode == "none":
        return []
    hint = ask.last_user_text
    if ask.choice.mode == "forced":
        named = [tool for tool in ask.tools if tool.name == ask.choice.name]
        wanted = named or list(ask.tools[:1])
    elif not ask.messages or ask.messages[-1].role != "user":
        return []
    else:
        wanted = [tool for tool in ask.tools if tool.name in hint]
        if not wanted and (eager or re.search(r"\btools?\b", hint, re.IGNORECASE)):
            wanted = list(ask.tools[:1])
    return [ToolCall(new_id("call_"), each.name, _arguments(each, hint)) for each in wanted]


def _arguments(tool: Tool, hint: str) -> Json:
    value = sample({"type": "object", **tool.schema}, hint)
    return value if isinstance(value, dict) else {}


def sample(schema: Json, hint: str = "", key: str = "", defs: Json | None = None) -> Any:
    """Make up a value for a JSON schema, always the same for the same schema and hint."""
    defs = defs or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return sample(defs.get(str(schema["$ref"]).split("/")[-1], {}), hint, key, defs)
    for union in ("anyOf", "oneOf", "allOf"):
        options = [each for each in schema.get(union) or () if each.get("type") != "null"]
        if options:
            return sample(options[0], hint, key, defs)
    if schema.get("enum"):
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = _type_of(schema)
    if kind == "object":
        properties: Json = schema.get("properties") or {}
        return {name: sample(value, hint, name, defs) for name, value in properties.items()}
    if kind == "array":
        return [sample(schema.get("items") or {"type": "string"}, hint, key, defs)]
    return _scalar(kind, hint, key)


def _type_of(schema: Json) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return str(kind).lower()  # Gemini writes types in capitals


def _scalar(kind: str, hint: str, key: str) -> Any:
    number = re.search(r"-?\d+", hint)
    match kind:
        case "integer":
            return int(number.group()) if number else 1
        case "number":
            return float(number.group()) if number else 1.0
        case "boolean":
            return True
        case "null":
            return None
    quoted = re.search(r"'([^']+)'", hint)
    return quoted.group(1) if quoted else f"sample {key}".strip()


def split(text: str) -> list[str]:
    """Split a text into the pieces it is streamed in; joined they are the text again."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def count_tokens(text: str) -> int:
    return math.ceil(len(text) / 4)


def new_id(prefix: str) -> str:
    """Return an id that this process has not given before."""
    return f"{prefix}{next(_ids):08d}"


def embedding(text: str, size: int = 8) -> list[float]:
    """Return a unit vector that depends on nothing but the text."""
    seed = sum((i + 1) * ord(char) for i, char in enumerate(text)) + 1
    raw = [math.sin(seed * (i + 1)) for i in range(size)]
    norm = math.sqrt(sum(each * each for each in raw)) or 1.0
    return [each / norm for each in raw]
