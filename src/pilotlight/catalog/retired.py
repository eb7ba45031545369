"""Models that are known to be gone, and what their providers name in their place.

Anthropic, Gemini and Mistral answer a retired name exactly as they answer a typo,
so only a list can tell the two apart.  The patterns are matched against names
without provider prefix, in lower case (`bare_name`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Retired:
    """One model, or a family of names of it, that is answered no more."""

    pattern: str
    since: str  # ISO date, as exact as the source is: "2026-02", "2024-06-13"
    replacement: str | None  # what the provider recommends; None where nothing was named
    source: str
    matches: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", re.compile(self.pattern))


_ANTHROPIC: Final = "docs.claude.com model deprecations; anthropic SDK DEPRECATED_MODELS"
_GEMINI: Final = "ai.google.dev/gemini-api/docs/deprecations"
_OPENAI: Final = "platform.openai.com/docs/deprecations"
_MISTRAL: Final = "docs.mistral.ai models overview, legacy models"
_GROQ: Final = "console.groq.com/docs/deprecations"
_COHERE: Final = "docs.cohere.com/docs/deprecations"
_STABILITY: Final = "platform.stability.ai release notes"

KNOWN_RETIRED: Final[tuple[Retired, ...]] = (
    Retired(r"claude-(instant-)?v?1(\.\d|-100k|$).*", "2024-11-06", None, _ANTHROPIC),
    Retired(r"claude-instant(-v?1.*)?", "2024-11-06", None, _ANTHROPIC),
    Retired(r"claude-(v?2(\.\d)?|v2:1)", "2025-07-21", None, _ANTHROPIC),
    Retired(r"claude-3-sonnet(-.*)?", "2025-07-21", None, _ANTHROPIC),
    Retired(r"claude-3-opus(-.*)?", "2026-01-05", None, _ANTHROPIC),
    Retired(r"claude-3-haiku(-.*)?", "2026", None, "litellm dropped its row"),
    Retired(r"claude-3[.-]5-sonnet(-.*)?", "2025-10-28", None, _ANTHROPIC),
    Retired(r"claude-3[.-]5-haiku(-.*)?", "2026-02-19", None, _ANTHROPIC),
    Retired(r"claude-3[.-]7-sonnet(-.*)?", "2026-02-19", None, _ANTHROPIC),
    Retired(r"claude-(opus|sonnet)-4(-0|-20250514)?", "2026-06-15", None, _ANTHROPIC),
    Retired(r"claude-mythos-preview", "2026-06-30", None, _ANTHROPIC),
    Retired(r"gemini-(1\.0-)?pro(-vision.*|-00\d|-latest)?", "2025-02-15", None, _GEMINI),
    Retired(r"gemini-1\.[05]-(pro|flash|ultra).*", "2025-09-24", "gemini-2.5-flash", _GEMINI),
    Retired(r"gemini-2\.0-(pro|flash).*", "2026-06-01", "gemini-2.5-flash", _GEMINI),
    Retired(r"gemini-exp-\d+|learnlm-.*", "2025", None, _GEMINI),
    Retired(r"gemini-2\.5-(pro|flash)(-lite)?-(preview|exp)-\d\d-.*", "2025", None, _GEMINI),
    Retired(r"(chat|text|code|codechat)-bison.*", "2024-10-09", None, _GEMINI),
    Retired(r"gpt-4-32k.*|gpt-4-(0314|vision-preview)", "2025-06-06", "gpt-4o", _OPENAI),
    Retired(r"gpt-4(-0613|-1106-preview|-turbo.*)?", "2026-10-23", None, _OPENAI),
    Retired(r"gpt-4\.5-preview.*", "2025-07-14", "gpt-4.1", _OPENAI),
    Retired(r"gpt-3\.5-turbo-(0301|0613|16k-0613)", "2024-09-13", "gpt-4o-mini", _OPENAI),
    Retired(r"gpt-3\.5-turbo(-16k|-0125|-1106|-instruct)?", "2026-10-23", None, _OPENAI),
    Retired(r"(text|code)-(davinci|curie|babbage|ada|cushman).*", "2024-01-04", None, _OPENAI),
    Retired(r"o1-(preview|mini)(-.*)?", "2025-10-27", "o4-mini", _OPENAI),
    Retired(r"dall-e-[23]", "2026-05-12", "gpt-image-1-mini", _OPENAI),
    Retired(r"mistral-(tiny(-.*)?|small-(2312|2402|2409|2501))", "2025", None, _MISTRAL),
    Retired(r"mistral-(medium-2312|large-24\d\d|saba-.*)", "2025", None, _MISTRAL),
    Retired(r"open-mi[sx]tral-(7b|8x7b|8x22b)(-.*)?", "2025-03-30", None, _MISTRAL),
    Retired(r"(open-)?codestral-(2405|mamba(-.*)?)|mathstral.*", "2025", None, _MISTRAL),
    Retired(r"pixtral-(12b|large)(-.*)?|ministral-\db-2410", "2025", None, _MISTRAL),
    Retired(r"llama3-(8b|70b)-8192", "2025-08-30", "llama-3.3-70b-versatile", _GROQ),
    Retired(
        r"llama-3\.1-(70b-versatile|405b-reasoning)|llama2-70b-4096", "2025-01-24", None, _GROQ
    ),
    Retired(r"mixtral-8x7b-32768", "2025-03-20", "mistral-saba-24b", _GROQ),
    Retired(r"gemma-7b-it|gemma2-9b-it", "2025-10-08", "llama-3.1-8b-instant", _GROQ),
    Retired(r"deepseek-r1-distill-(llama-70b|qwen-32b)", "2025-10-02", None, _GROQ),
    Retired(r"command(-light)?(-nightly)?", "2025-09-15", "command-a-03-2025", _COHERE),
    Retired(r"command-r(-plus)?(-0[34]-2024)?", "2025-09-15", "command-r-08-2024", _COHERE),
    Retired(
        r"stable-diffusion-(v1-\d|512-v2-\d|768-v2-\d|xl-.*)|stable-inpainting-.*",
        "2025",
        None,
        _STABILITY,
    ),
)

_NAME: Final = re.compile(r"[a-z0-9][\w.:/@\-]{2,80}", re.IGNORECASE | re.ASCII)
_REGION: Final = re.compile(
    r"^(?:us|eu|apac|ap|jp|au|ca|global|us-gov)\.|^(?:anthropic|mistral|cohere|meta|amazon)\."
)
_VERSION: Final = re.compile(r"-v\d+(?::\d+)?$|@.*$|:(?:latest|free|beta)$")


def bare_name(model: str) -> str:
    """Return a model's name without provider, path, region and platform version."""
    name = model.strip().lower().rstrip(".,:;").rpartition("/")[2]
    name = _REGION.sub("", _REGION.sub("", name))
    return _VERSION.sub("", name)


@lru_cache(maxsize=512)
def lookup(model: str) -> Retired | None:
    """Return what is known of a model's retirement, or None: a name not listed may still be gone.

    A gateway or a local server may well serve what its maker has retired, so this
    explains a refusal but foretells none.
    """
    name = bare_name(model)
    return next((entry for entry in KNOWN_RETIRED if entry.matches.fullmatch(name)), None)


def mentioned(text: str) -> Retired | None:
    """Return the first retired model that a provider's message names."""
    found = (lookup(word) for word in _NAME.findall(text[:500]) if "-" in word)
    return next((entry for entry in found if entry is not None), None)
