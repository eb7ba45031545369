"""A request of the pivot (OpenAI chat JSON), read once for every dialect that writes it.

Older spellings become the newer ones (`functions`, `function_call`, `max_completion_tokens`),
and what can't be understood is refused here: the writers see one shape.

Source: OpenAI's API reference, POST /chat/completions; litellm's names for the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import MOST, part, text, words

_READ: Final = words(
    "model messages tools tool_choice functions function_call stop response_format"
    " reasoning_effort max_tokens max_completion_tokens parallel_tool_calls stream extra_body"
    " web_search_options"
)
# How a call is carried out, not what is asked: such an option is none of the request's.
CARRIAGE: Final = words(
    "stream_options timeout request_timeout api_key api_base base_url api_version organization"
    " headers extra_headers extra_query num_retries max_retries retry_policy fallbacks drop_params"
    " additional_drop_params allowed_openai_params client custom_llm_provider caching cache tags"
    " verbose mock_response azure_ad_token azure_ad_token_provider tenant_id client_id"
    " client_secret azure_username azure_password azure_scope deployment_id"
)
# Where a conversation's beginning is kept at the vendor, under a name that means nothing elsewhere.
_ELSEWHERE: Final = words("previous_response_id conversation prompt")
# A value that asks for nothing: leaving it out loses nothing.
_IDLE: Final[dict[str, tuple[Any, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "modalities": (["text"],),
    "store": (False,),
    "logit_bias": ({},),
    "metadata": ({},),
    "service_tier": ("auto", "default"),
}
Mode = Literal["auto", "required", "none"]
_MODES: Final[dict[str, Mode]] = {
    "auto": "auto", "required": "required", "any": "required", "none": "none"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """A tool that the caller carries out."""

    name: str
    description: str | None
    parameters: Json
    strict: bool
    cache: Json | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the model may, must or must not call a tool, and which one it must."""

    mode: Mode | None = None
    name: str | None = None

    @property
    def forced(self) -> bool:
        """Whether the model has to call a tool."""
        return self.mode == "required"


@dataclass(frozen=True, slots=True)
class Format:
    """The form of the answer: JSON, of a schema where there is one."""

    schema: Json | None = None
    name: str = "response"
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the pivot in its newer spelling; `options` are those with no field here."""

    model: str
    messages: list[Json]
    stream: bool
    functions: list[Function]
    vendor_tools: list[Json]
    choice: Choice
    parallel: bool | None
    stop: list[str]
    format: Format | None
    effort: str | None
    max_tokens: int | None
    web_search: Json | None
    options: Json
    extra: Json = field(default_factory=dict)


def read(given: Json, *, at_openai: bool = False) -> Request:
    """Read a request; raises Unable where it is none, or is not for an API other than OpenAI's."""
    given = {name: value for name, value in given.items() if value is not None}
    if not at_openai:
        check_state(given)
    check_waited(given)
    functions, vendor_tools = _tools(given)
    choice = _choice(given.get("tool_choice", _old_choice(given.get("function_call"))))
    functions, choice = _allowed(given.get("tool_choice"), functions, choice)
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    return Request(
        model=text(given, "model") or "",
        messages=_messages(given.get("messages")),
        stream=given.get("stream") is True,
        functions=functions,
        vendor_tools=vendor_tools,
        choice=choice,
        parallel=value if type(value := given.get("parallel_tool_calls")) is bool else None,
        stop=_stop(given.get("stop")),
        format=_format(given.get("response_format")),
        effort=_effort(given.get("reasoning_effort")),
        max_tokens=None if limit is None else _whole(limit),
        web_search=given.get("web_search_options"),
        options={
            name: value
            for name, value in given.items()
            if name not in _READ
            and name not in CARRIAGE
            and not name.startswith("litellm_")
            and asks(name, value)
        },
        extra=part(given, "extra_body"),
    )


def check_state(given: Json) -> None:
    """Raise Unable for a call of which a part is kept at OpenAI, and can't be told to others."""
    if _ELSEWHERE.isdisjoint(given):
        return
    for name in sorted(_ELSEWHERE):
        value = given.get(name)
        if value and (name != "prompt" or type(value) is dict):
            raise Unable(f"{name}: what it names is kept at OpenAI; send the turns themselves")


def check_cached(given: Json) -> None:
    """Raise Unable for a call whose beginning is cached at Google, where it can't be read."""
    for name in ("cachedContent", "cached_content"):
        if given.get(name):
            raise Unable(f"{name}: what it names is kept at Google; send the turns themselves")


def check_waited(given: Json) -> None:
    """Raise Unable for a call whose answer would have to be fetched later."""
    if given.get("background"):
        raise Unable("background: an answer is waited for here; leave it out")


def asks(name: str, value: Any) -> bool:
    """Tell an option that asks for something from one whose value is what is done anyhow."""
    return value is not None and value not in _IDLE.get(name, ())


def _whole(limit: Any) -> int:
    if type(limit) not in (int, float) or not 1 <= limit < MOST:
        raise Unable("max_tokens is no number of tokens")
    return int(limit)


def _messages(given: Any) -> list[Json]:
    """Return the messages with tool calls in their newer form; the older has no ids."""
    latest: dict[str, str] = {}  # the id of the last call of each function
    return [_newer(each, place, latest) for place, each in enumerate(checked_messages(given))]


def checked_messages(given: Any) -> list[Json]:
    """Return messages of which each has a role; raises Unable."""
    if type(given) is not list or not given:
        raise Unable("there are no messages")
    for place, message in enumerate(given):
        if type(message) is not dict or not text(message, "role"):
            raise Unable(f"messages[{place}] has no role")
    return given


def _newer(message: Json, place: int, latest: dict[str, str]) -> Json:
    if call := part(message, "function_call"):
        latest[text(call, "name") or ""] = made = f"function_{place}"
        return {**message, "tool_calls": [{"id": made, "type": "function", "function": call}]}
    if message["role"] == "function":
        called = latest.get(text(message, "name") or "", f"function_{place}")
        return {**message, "role": "tool", "tool_call_id": called}
    return message


def _stop(given: Any) -> list[str]:
    stop = [given] if type(given) is str else given or []
    if type(stop) is not list or not all(type(each) is str for each in stop):
        raise Unable("stop is no text and no list of texts")
    return [each for each in stop if each]


def _effort(given: Any) -> str | None:
    given = given.get("effort") if type(given) is dict else given  # with a `summary` beside it
    return given if type(given) is str else None


def _format(given: Any) -> Format | None:
    kind = text(given, "type")
    if given is None or kind == "text":
        return None
    if kind == "json_object":
        schema = given.get("response_schema")  # litellm's own
        return Format(schema if type(schema) is dict else None)
    wrapped = part(given, "json_schema")
    schema = wrapped.get("schema")
    if kind != "json_schema" or type(schema) is not dict:
        raise Unable("response_format is neither text, json_object nor a json_schema")
    return Format(schema, text(wrapped, "name") or "response", wrapped.get("strict") is True)


# Tools.

_EMPTY: Final = {"type": "object", "properties": {}}
_DATED: Final = re.compile(r"_(?:preview_)?\d{4}_?\d\d_?\d\d$|_preview$")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Vendors' tools that run in the caller's hands: the caller waits for their calls.
_CLIENT: Final = words(
    "custom local_shell shell apply_patch computer_use computer bash text_editor memory"
    " browser_toolset computer_toolset"
)


def _tools(given: Json) -> tuple[list[Function], list[Json]]:
    tools = given.get("tools") or [
        {"type": "function", "function": each} for each in given.get("functions") or ()
    ]
    if type(tools) is not list or not all(type(tool) is dict for tool in tools):
        raise Unable("tools is no list of objects")
    functions: list[Function] = []
    vendor: list[Json] = []
    for place, tool in enumerate(tools):
        said = part(tool, "function") or _anthropic_function(tool)
        if not said:
            vendor.append(tool)
            continue
        if not (name := text(said, "name")):
            raise Unable(f"tools[{place}] has no name")
        parameters = part(said, "parameters") or _EMPTY
        strict = said.get("strict") is True or tool.get("strict") is True
        cache = part(tool, "cache_control") or part(said, "cache_control") or None
        functions.append(Function(name, text(said, "description"), parameters, strict, cache))
    return functions, vendor


def _anthropic_function(tool: Json) -> Json:
    schema = tool.get("input_schema")
    return {**tool, "parameters": schema} if type(schema) is dict else {}


def vendor_of(tool: Json) -> str:
    """Return whose tool it is, by its form: "gemini" has no type, "anthropic" a date in it."""
    kind = text(tool, "type")
    if kind is None:
        return "gemini"
    return "anthropic" if _DATED.search(kind) and "preview" not in kind else "openai"


def tool_kind(tool: Json) -> str:
    """Return the kind of a vendor's tool without its version: `web_search`."""
    kind = text(tool, "type")
    if kind is None:
        kind = _HUMP.sub("_", next(iter(tool), "tool")).lower()
    return _DATED.sub("", kind)


def lose_tool(tool: Json, losses: Losses) -> None:
    """Leave out another vendor's tool; raises Unable for one that the caller carries out."""
    kind = tool_kind(tool)
    if kind in _CLIENT:
        raise Unable(f"the tool {kind} is the own one of another API")
    losses.add(f"server_tool:{kind}")


def _old_choice(given: Any) -> Any:
    return {"function": given} if type(given) is dict else given


def _choice(given: Any) -> Choice:
    if type(given) is str:
        return Choice(_MODES.get(given))
    named = part(given, "function") or (given if text(given, "type") == "tool" else {})
    if name := text(named, "name"):
        return Choice("required", name)
    return Choice(_MODES.get(text(given, "type") or ""))


def _allowed(
    given: Any, functions: list[Function], choice: Choice
) -> tuple[list[Function], Choice]:
    """Leave out the functions that `allowed_tools` does not name; vendors know no such choice."""
    if text(given, "type") != "allowed_tools":
        return functions, choice
    allowed = part(given, "allowed_tools") or given
    names = {
        text(part(each, "function") or each, "name")
        for each in allowed.get("tools") or ()
        if type(each) is dict
    }
    return [f for f in functions if f.name in names], Choice(
        _MODES.get(text(allowed, "mode") or "auto")
    )
