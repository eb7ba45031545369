"""Events that differ from the last one in their words alone.

Nearly every event of a stream does.  One that was read word for word, and said something, is
kept as what stands between its words; an event with just that between other words says as much,
and to see that takes a fraction of the time that it takes to read it.
"""

from __future__ import annotations

import re
from typing import Final

Template = tuple[bytes, ...]
"""What stands before, between and after the words of an event; empty: there is none."""

# Printable ASCII without quotes and escapes: words that need no reading.
_WORDS: Final = re.compile(rb"[ !#-\[\]-~]+").match
# What is said, and what changes with each event and says nothing.
_SAID: Final = re.compile(
    rb'"(?:content|text|thinking|reasoning|reasoning_content|response|delta|obfuscation|created_at)"'
    rb':\s*"([ !#-\[\]-~]+)(?=")'
).finditer


def template_of(piece: bytes) -> Template:
    """Return the template of whole events that were read; an empty one if they have no words."""
    parts: list[bytes] = []
    end = 0
    for said in _SAID(piece):
        parts.append(piece[end : said.start(1)])
        end = said.end(1)
    return (*parts, piece[end:]) if parts else ()


def fits(template: Template, piece: bytes) -> bool:
    """Tell whether a piece of a body is a template's events, with words in all its gaps."""
    first, *others = template
    if not piece.startswith(first):
        return False
    at = len(first)
    for part in others:
        words = _WORDS(piece, at)
        if words is None or not piece.startswith(part, at := words.end()):
            return False
        at += len(part)
    return at == len(piece)
