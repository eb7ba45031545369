"""The user's own tags of calls: `with tagged(team="search"): ...`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from pilotlight.errors import InvalidCall
from pilotlight.scopes.blocks import Blocks, Entry

MOST: Final = 16  # tags of a call
LONGEST: Final = 128  # characters of a name, and of a value
_NONE: Final[Mapping[str, str]] = {}
TAGS: Final[Blocks[Mapping[str, str]]] = Blocks("pilotlight_tags")


class tagged:  # noqa: N801 - a context manager is named as a function
    """Tag the calls that are made inside the block, by whichever door.

    Budgets and receipts tell calls apart by their tags.  Blocks inside one another add up; the
    innermost says what a tag is.  Tags stand in receipts: put nothing secret into them.  Raises
    InvalidCall for what are no short texts.
    """

    def __init__(self, **tags: str) -> None:
        self._tags = checked_tags(tags)
        self._entries: list[Entry[Mapping[str, str]]] = []

    def __enter__(self) -> Self:
        TAGS.enter(self._tags, self._entries, sys._getframe(1))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        TAGS.leave(self._entries, sys._getframe(1))


def tags_of(given: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return the tags of a call that is made here; `given` are its own.  Raises InvalidCall."""
    if not TAGS and not given:
        return _NONE
    found: dict[str, str] = {}
    for tags in TAGS.values():
        found |= tags
    if given:
        found |= checked_tags(given)
    if len(found) > MOST:
        raise InvalidCall(f"tags has {len(found)} entries; a call may have {MOST}")
    return found


def checked_tags(tags: Any) -> Mapping[str, str]:
    """Return tags as they are kept; raises InvalidCall for what are no short texts."""
    if not isinstance(tags, Mapping):
        kind = type(tags).__name__
        raise InvalidCall(f'tags is a {kind}; it should be a dict, such as {{"team": "search"}}')
    for name, value in tags.items():
        for text in (name, value):
            if not (isinstance(text, str) and 0 < len(text) <= LONGEST and text.isprintable()):
                raise InvalidCall(
                    f"tags: names and values are texts of 1 to {LONGEST} printable characters, "
                    "without line ends"
                )
    return dict(tags)
