"""Which calls go straight to an OpenAI-style server: those that litellm would send unchanged.

Whatever litellm rewrites for a provider or a model (other names of options, other roles,
other endpoints) is its business, and such a call stays with it.  So a call goes straight
only if its provider, its model, its messages and each of its options stand here.
tests/providers/test_direct_equal.py holds the tables to litellm's own requests, byte for
byte of the JSON, over every chat model that litellm knows of.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pilotlight.catalog.providers import Spec
from pilotlight.core.provider import Call

Json = dict[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Dialect:
    """What litellm sends unchanged: options by name, and content in parts (text, images)."""

    options: frozenset[str]
    parts: bool = True


_COMMON: Final = _words("temperature top_p max_tokens stop")
_OPENAI: Final = Dialect(
    _COMMON
    | _words(
        "max_completion_tokens seed n presence_penalty frequency_penalty logprobs top_logprobs"
        " tools tool_choice parallel_tool_calls response_format logit_bias stream_options"
    )
)
DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": _OPENAI,
    "lm_studio": _OPENAI,
    "llamafile": _OPENAI,
    "hosted_vllm": Dialect(_OPENAI.options - {"tools", "tool_choice", "parallel_tool_calls"}),
    "deepseek": Dialect(_OPENAI.options, parts=False),
    "groq": Dialect(_COMMON | _words("seed n"), parts=False),
    "mistral": Dialect(_COMMON, parts=False),
    "together_ai": Dialect(_COMMON | _words("seed n"), parts=False),
    "cerebras": Dialect(_COMMON | {"seed"}, parts=False),
    "xai": Dialect(_words("temperature top_p max_tokens seed n"), parts=False),
}
REASONING: Final = Dialect(_words("max_completion_tokens seed n response_format stream_options"))

# OpenAI's own models, of which each family wants something of its own.
_PLAIN_GPT: Final = re.compile(
    r"gpt-(?:3\.5-turbo|4o(?:-mini)?|4\.1(?:-mini|-nano)?|4(?:-turbo)?)(?:-\d{4}(?:-\d\d-\d\d)?)?"
)
_GPT_5: Final = re.compile(r"gpt-5(?:\.\d)?(?:-mini|-nano)?(?:-\d{4}-\d\d-\d\d)?")
# These can't take a schema, or are asked at another endpoint, wherever they are.
_LEFT: Final = re.compile(r"gpt-4|gpt-3\.5-turbo-16k|.*multi-agent.*")
# Under any other name a model is taken for one of the user's own, unless it looks like these.
_OF_OPENAI: Final = re.compile(
    r"(?:^|[/:])(?:o\d|gpt-|chatgpt|chat-latest|ft:|responses/|container|codex|computer-use"
    r"|davinci|babbage|text-)|audio|search|rosalind|daybreak|realtime"
)

_ROLES: Final = _words("system user assistant tool")
_KEYS: Final = _words("role content tool_calls tool_call_id")
_PARTS: Final = _words("text image_url")
_NEED_TOOLS: Final = _words("tool_choice parallel_tool_calls")

# What a program may have told litellm to do with every call; then litellm is to do it.
_HOOKS: Final = (
    "callbacks", "success_callback", "failure_callback", "input_callback", "service_callback",
    "_async_success_callback", "_async_failure_callback", "_async_input_callback",
    "cache", "model_alias_map", "headers", "organization", "pre_call_rules", "post_call_rules",
    "route_all_chat_openai_to_responses", "modify_params", "max_budget",
)  # fmt: skip


_ITS_OWN: Final = ["cache"]  # put there by its Gemini calls, and idle while `litellm.cache` is None


def dialect_of(spec: Spec, own_server: bool) -> Dialect | None:
    """Return what may go straight to this endpoint; None: nothing."""
    dialect = DIALECTS.get(spec.provider)
    if _LEFT.fullmatch(spec.bare_model):
        return None
    if dialect is not _OPENAI or spec.provider != "openai":
        return dialect
    if os.environ.get("OPENAI_CUSTOM_HEADERS"):  # the SDK's own way, and in its own syntax
        return None
    name = spec.bare_model
    if _PLAIN_GPT.fullmatch(name):
        return dialect
    if _GPT_5.fullmatch(name):
        return REASONING
    return dialect if own_server and not _OF_OPENAI.search(name.lower()) else None


def body_of(dialect: Dialect, spec: Spec, call: Call) -> Json | None:
    """Return the request, or None for a call that is not certain to be sent like this."""
    if call.operation != "chat":
        return None
    options = {**spec.options, **call.options}
    messages = _messages(call.messages, dialect.parts)
    if messages is None or not _are_plain(options, dialect.options, call.stream):
        return None
    body: Json = {"model": spec.bare_model, "messages": messages}
    body |= {name: value for name, value in options.items() if value is not None}
    if call.stream:
        body["stream"] = True
    return body


def litellm_has_hooks() -> bool:
    """Tell whether the program has told litellm to take part in every call: log it, cache it."""
    module = sys.modules.get("litellm")
    if module is None:
        return False
    settings = vars(module)
    return any(value != _ITS_OWN for name in _HOOKS if (value := settings.get(name)))


def _are_plain(options: Mapping[str, Any], known: Collection[str], stream: bool) -> bool:
    for name, value in options.items():
        if value is None:
            continue
        if name not in known or not isinstance(value, str | int | float | list | dict):
            return False
        if name in _NEED_TOOLS and not options.get("tools"):
            return False
        if name == "stream_options" and not stream:
            return False
    return True


def _messages(given: Sequence[Any], parts: bool) -> list[Json] | None:
    made = []
    for message in given:
        plain = _message(message, parts)
        if plain is None:
            return None
        made.append(plain)
    return made


def _message(given: Any, parts: bool) -> Json | None:
    """Return a message as litellm sends it: without what is None."""
    if not isinstance(given, dict) or given.get("role") not in _ROLES:
        return None
    plain = {key: value for key, value in dict.items(given) if value is not None}
    content = plain.get("content")
    if not plain.keys() <= _KEYS or (content is None and "tool_calls" not in plain):
        return None
    if isinstance(content, str):
        return plain if content or parts else None
    if content is None:
        return plain
    return plain if parts and isinstance(content, list) and all(map(_is_part, content)) else None


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _PARTS and "cache_control" not in part
