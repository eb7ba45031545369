"""Events that differ from the last one in their words, and counts of tokens, alone.

Nearly every event of a stream does.  One that was read word for word, and said something, is
kept as what stands between its words; an event with just that between other words says as much,
and to see that takes a fraction of the time that it takes to read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Gap = Callable[[bytes, int], re.Match[bytes] | None]
Template = tuple[tuple[bytes, Gap | None], ...]
"""What stands before each gap, and what may fill it; the last has none.  Empty: no template."""

# Printable ASCII without quotes and escapes: words that need no reading.
_WORDS: Final[Gap] = re.compile(rb"[ !#-\[\]-~]+").match
_COUNT: Final[Gap] = re.compile(rb"0|[1-9][0-9]*").match
# What is said; what changes with each event and says nothing; and Gemini's counts, in every event.
_SAID: Final = re.compile(
    rb'"(?:content|text|thinking|reasoning|reasoning_content|response|delta|obfuscation|created_at)"'
    rb':\s*"([ !#-\[\]-~]+)(?=")|"(?:candidates|thoughts|total)TokenCount":\s*([0-9]+)'
).finditer


def template_of(piece: bytes) -> Template:
    """Return the template of whole events that were read; an empty one if they have no words."""
    parts: list[tuple[bytes, Gap | None]] = []
    end = 0
    for said in _SAID(piece):
        kind = said.lastindex or 0
        parts.append((piece[end : said.start(kind)], _WORDS if kind == 1 else _COUNT))
        end = said.end(kind)
    worded = any(gap is _WORDS for _, gap in parts)
    return (*parts, (piece[end:], None)) if worded else ()


def fits(template: Template, piece: bytes) -> bool:
    """Tell whether a piece of a body is a template's events, with its own in all the gaps."""
    at = 0
    for part, gap in template:
        if not piece.startswith(part, at):
            return False
        at += len(part)
        if gap is None:
            return at == len(piece)
        if (found := gap(piece, at)) is None:
            return False
        at = found.end()
    return False
