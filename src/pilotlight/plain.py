r"""Text of others made harmless where people read it: on a terminal, and in a log.

What a provider, a file or a board says may hold characters that move the cursor, set the
window's title, forge a line, or turn the reading order round.  They are shown as Python
writes them: `\x1b`, `\u202e`.  Letters of every script, emoji and their joiners stay.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

# Control characters (C0, DEL, C1), line and paragraph separators, the marks, embeddings,
# overrides and isolates of the bidirectional algorithm (UAX #9), deprecated format characters,
# and lone surrogates, which no terminal can be sent.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]"
)


def plain(text: str, keep: str = "") -> str:
    r"""Return the text with every unsafe character as an escape, but for those in `keep`."""
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def plain_json(document: str) -> str:
    """Return the same JSON document without unsafe characters; its line breaks stay.

    Inside a string they are escapes that mean the same; outside of one there are none.
    """
    return _UNSAFE.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", document
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class _Harmless(logging.Filter):
    """Makes a line harmless: its words, its traceback, and what goes along with it as `extra`."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_argument, record.args))
        line = vars(record)
        line["msg"] = _argument(record.msg)
        if record.exc_info:
            record.exc_text = plain(_TRACES.formatException(record.exc_info), keep="\n")
        for key in line.keys() - _OWN:
            if isinstance(line[key], str):
                line[key] = plain(line[key])
        return True


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else plain(str(value))


_OWN: Final = frozenset(vars(logging.makeLogRecord({})))
_TRACES: Final = logging.Formatter()
_HARMLESS: Final = _Harmless()


def logger(name: str) -> logging.Logger:
    """Return the logger of this name, whose lines hold no unsafe characters."""
    found = logging.getLogger(name)
    found.addFilter(_HARMLESS)
    return found
