"""What Google's models take that others of theirs do not.

Sources: the pages on thinking, structured output, function calling and thought signatures of
Google's Gemini API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Traits:
    """What one model takes."""

    thinking: Literal["none", "budget", "level"] = "level"
    pauses: bool = False  # it can answer without a thought
    minimal: bool = False  # the level of this name
    signed: bool = True  # calls of functions in a conversation need a thought's signature
    mixes: bool = True  # a schema, or a search, beside functions; images in their results
    fetches: bool = True  # a medium by its address, wherever that is
    system: bool = True  # a system instruction
    prefill: bool = False  # a last turn of the model's own, to be continued


_OLD: Final = Traits("none", signed=False, mixes=False, fetches=False, prefill=True)
_BUDGET: Final = Traits("budget", pauses=True, signed=False, mixes=False, prefill=True)
_TABLE: Final[tuple[tuple[re.Pattern[str], Traits], ...]] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"gemma-[123]", Traits("none", False, False, False, False, False, False, True)),
        (r"gemini-(?:1|2\.0|exp)|gemma|learnlm", _OLD),
        (r"gemini-2\.5-pro", Traits("budget", signed=False, mixes=False, prefill=True)),
        (r"gemini-2|robotics-er-1", _BUDGET),
        (r"gemini-3(?:\.[0-6])?-flash", Traits(minimal=True)),
    )
)
_NEWEST: Final = Traits()


def traits_of(model: str) -> Traits:
    """Return what a model takes; of one that is not known, what the newest takes."""
    for pattern, traits in _TABLE:
        if pattern.search(model):
            return traits
    return _NEWEST
