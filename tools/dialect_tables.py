"""The tables of the pages on dialects, on portable history and on the stand-ins of their APIs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dialect_features as features

from pilotlight.dialects import anthropic_messages, gemini, ollama, openai_chat, openai_responses
from pilotlight.dialects.base import Unable, Unreadable
from pilotlight.dialects.history import (
    ANTHROPIC_IDS,
    ANY_IDS,
    MISTRAL_IDS,
    OPENAI_IDS,
    RESPONSES_IDS,
    IdRule,
)
from pilotlight_chaos.strict import RULES

APIS = {
    "openai": "OpenAI, chat completions",
    "openai-responses": "OpenAI, Responses",
    "anthropic": "Anthropic, Messages",
    "gemini": "Gemini",
    "ollama": "Ollama",
}
_ISSUE = re.compile(r"^([\w.-]+/[\w.-]+)#(\d+)$")


def strict_rules() -> list[list[str]]:
    """Return a row for each rule: whose it is, what has to be so, where it is known from."""
    return [
        [APIS[api], rule.what, ", ".join(map(_link, rule.source.split(", ")))]
        for api, rules in RULES.items()
        for rule in rules
    ]


def _link(source: str) -> str:
    if found := _ISSUE.match(source):
        return f"[{source}](https://github.com/{found[1]}/issues/{found[2]})"
    page, _, inside = source.partition(" ")
    return f"[{page.split('/')[-1]}](https://{page})" if "." in page else f"{page} {inside}".strip()


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A dialect as callers speak it and as a target does, with the model that is asked for."""

    dialect: Any
    model: str
    base: Mapping[str, Any]
    pieces: features.Pieces


_ASKED = {"messages": [features.HI]}
SPOKEN: Mapping[str, _Spoken] = {
    "OpenAI chat": _Spoken(openai_chat, "gpt-4o", _ASKED, features.CHAT),
    "Responses": _Spoken(openai_responses, "gpt-5", {"input": [features.HI]}, features.RESPONSES),
    "Claude": _Spoken(
        anthropic_messages,
        "claude-sonnet-4-5",
        {**_ASKED, "max_tokens": 8192},
        features.MESSAGES,
    ),
    "Gemini": _Spoken(
        gemini,
        "gemini-3-pro",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        features.GEMINI,
    ),
    "Ollama": _Spoken(ollama, "llama3.2", _ASKED, features.OLLAMA),
}
CARRIED = "yes"


def heads() -> list[str]:
    """Return the heads of a table of what is carried: each target by its model."""
    return ["a caller's", *(f"{name} (`{spoken.model}`)" for name, spoken in SPOKEN.items())]


def carried(caller: str) -> list[list[str]]:
    """Return a row for each thing that callers of a dialect may ask for, a column for a target."""
    spoken = SPOKEN[caller]
    return [
        [what, *(_outcome(spoken, piece, target) for target in SPOKEN.values())]
        for what, piece in spoken.pieces.items()
    ]


def _outcome(caller: _Spoken, piece: Mapping[str, Any], target: _Spoken) -> str:
    """Tell what becomes of a piece: carried, lost by these names, or not to be told at all."""
    bare = _lost(caller, caller.base, target)
    try:
        lost = _lost(caller, {**caller.base, **piece}, target) - bare
    except (Unable, Unreadable) as told:
        reason = re.sub(r"^messages\[\d+\](?:\.content\[\d+\])? (?:is )?", "", str(told))
        return f"passed over: {reason}"
    return f"lost: {', '.join(f'`{name}`' for name in sorted(lost))}" if lost else CARRIED


def _lost(caller: _Spoken, body: Mapping[str, Any], target: _Spoken) -> set[str]:
    read = caller.dialect.read_request({"model": caller.model, "stream": False, **body})
    written = target.dialect.write_request({**read.request, "model": target.model})
    return {*read.lost, *written.lost}


def call_ids() -> list[list[str]]:
    """Return a row for each rule of ids: which an API takes, and how one is made."""
    rules: Mapping[str, IdRule] = {
        "OpenAI, chat completions": OPENAI_IDS,
        "OpenAI, Responses": RESPONSES_IDS,
        "Anthropic": ANTHROPIC_IDS,
        "Mistral": MISTRAL_IDS,
        "Gemini, Ollama (by order)": ANY_IDS,
    }
    return [
        [api, f"`{rule.fits.pattern}`", f"`{rule.prefix}` and {rule.length} hexadecimal digits"]
        for api, rule in rules.items()
    ]
