"""What Anthropic's models take that others of theirs do not.

Sources: Anthropic's model overview, and its pages on extended and adaptive thinking,
structured outputs and the effort parameter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model takes."""

    most: int  # tokens of an answer: `max_tokens` is required, and this is the default
    thinking: Literal["none", "budget", "adaptive"] = "adaptive"
    schemas: bool = True  # `output_config.format`, and `strict` tools
    sampling: bool = False  # temperature, top_p and top_k
    both: bool = False  # temperature and top_p in one request
    prefill: bool = False  # a last message of the assistant's own, to be continued
    forced: bool = True  # a tool that must be called
    xhigh: bool = True  # the effort of this name
    budget: bool = False  # a budget to think with, where it can also think as it sees fit


_FIRST: Final = Traits(4096, "none", schemas=False, sampling=True, both=True, prefill=True)
_BUDGET: Final = Traits(64_000, "budget", schemas=False, sampling=True, both=True, prefill=True)
_NEWEST: Final = Traits(128_000)
_TABLE: Final[tuple[tuple[re.Pattern[str], Traits], ...]] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"claude-(?:instant|[12]\b|3-(?:haiku|opus|sonnet))", _FIRST),
        (r"claude-3-5", Traits(8192, "none", False, True, True, True)),
        (r"claude-3-7", _BUDGET),
        (r"claude-opus-4-1", Traits(32_000, "budget", True, True, False, True)),
        (r"claude-opus-4(?:-0|-2025|$|@)", Traits(32_000, "budget", False, True, True, True)),
        (r"claude-sonnet-4(?:-0|-2025|$|@)", _BUDGET),
        (r"claude-[a-z]+-4-5", Traits(64_000, "budget", True, True, False, True)),
        (r"claude-[a-z]+-4-6", Traits(128_000, sampling=True, xhigh=False, budget=True)),
        (r"claude-(?:opus|sonnet)-5-5|claude-(?:fable|mythos)-5-1", Traits(128_000, forced=False)),
        (r"claude-", _NEWEST),
    )
)
# A model of another name behind this API (Kimi, DeepSeek, MiniMax ...).
_OTHER: Final = Traits(8192, "budget", schemas=False, sampling=True, both=True, prefill=True)


def traits_of(model: str) -> Traits:
    """Return what a model takes; of a `claude-` that is not known, what the newest takes."""
    for pattern, traits in _TABLE:
        if pattern.search(model):
            return traits
    return _OTHER
