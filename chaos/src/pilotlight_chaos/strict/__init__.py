"""What each provider's API refuses in a request, as tables of rules with their sources.

    broken = broken_rule("anthropic", body)       # None, or the first rule that is broken

With `ChaosServer(strict=True)` such a request is answered as the real API would: its status, its
words, in its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..dialects import Refused
from ..http import Json, Reply
from . import anthropic, gemini, ollama, openai, openai_chat, openai_responses
from .rule import Broken, Posted, Rule, first

__all__ = ["RULES", "Broken", "Rule", "broken_rule", "check"]


@dataclass(frozen=True, slots=True)
class _Api:
    rules: tuple[Rule, ...]
    reply: Callable[[Broken], Reply]


_APIS: Mapping[str, _Api] = {
    "openai": _Api(openai_chat.RULES, openai.reply),
    "openai-responses": _Api(openai_responses.RULES, openai.reply),
    "anthropic": _Api(anthropic.RULES, anthropic.reply),
    "gemini": _Api(gemini.RULES, gemini.reply),
    "ollama": _Api(ollama.RULES, ollama.reply),
}
RULES: Mapping[str, tuple[Rule, ...]] = {name: api.rules for name, api in _APIS.items()}
CHATS = ("chat", "messages", "generateContent", "streamGenerateContent", "responses")


def broken_rule(api: str, body: Json, model: str = "") -> Broken | None:
    """Return the first rule of an API that a chat request breaks, or None.

    Args:
        api: `openai` (chat completions), `openai-responses`, `anthropic`, `gemini`, `ollama`.
        body: The request's body.
        model: The model that is asked for, where the body does not name it (Gemini).
    """
    if api == "gemini":
        body = gemini.camel(body)
    return first(RULES[api], Posted(body, model or str(body.get("model") or "")))


def check(api: str, variant: str, body: Json, model: str) -> None:
    """Raise Refused, with the API's own reply, for a chat that breaks one of its rules."""
    if api not in _APIS or variant not in CHATS:
        return
    broken = broken_rule(api, body, model)
    if broken is not None:
        raise Refused(_APIS[api].reply(broken))
