"""The tables of the pages on dialects, and on the stand-ins of their APIs."""

from __future__ import annotations

import re

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
