"""Where words go: answers and tables to stdout, everything about them to stderr.

rich leaves colour out when the stream is no terminal or NO_COLOR is set.  No console of ours
prints a control or bidi character, whoever said it; `harmless` also keeps a line break in a
name from beginning a line.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pilotlight.plain import plain, plain_json

WIDE = 160  # columns for a table that goes into a pipe, where nothing need be folded
BREAKS = "\n\t"  # that a text of several lines may have

T = TypeVar("T")


class _Screen(Console):
    """A console on which texts of others can do nothing: what they may not hold is escaped."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else plain(text, BREAKS), style, control)


def out() -> Console:
    """Return the console for results."""
    console = _Screen(highlight=False)
    return console if console.is_terminal else _Screen(highlight=False, width=WIDE)


def err() -> Console:
    """Return the console for what is said about them."""
    return _Screen(stderr=True, highlight=False)


def harmless(facts: T) -> T:
    """Return the same facts with every text on one line, and without unsafe characters."""
    found: Any = facts
    if type(facts) is str:
        found = plain(found)
    elif is_dataclass(facts) and not isinstance(facts, type):
        inner = {each.name: harmless(getattr(facts, each.name)) for each in fields(facts)}
        found = replace(facts, **inner)
    elif isinstance(facts, Mapping):
        found = {harmless(key): harmless(value) for key, value in facts.items()}
    elif isinstance(facts, list | tuple):
        found = type(facts)(map(harmless, facts))
    return found  # type: ignore[no-any-return]


def print_answer(text: str, *, end: str = "\n") -> None:
    """Print what a model said: exactly into a pipe or file; harmless on a terminal."""
    if sys.stdout.isatty():
        text = plain(text, BREAKS)
    text = text.encode("utf-8", "backslashreplace").decode()
    click.echo(text + end, nl=False, color=True)  # else it would take colours out of a text


def complain(message: str, *, mend: bool = False) -> None:
    """Say on stderr what is wrong, or what mends it; as plain text, for brackets are TOML here."""
    label = Text("  mend: ", "yellow") if mend else Text("pilotlight: ", "bold red")
    for line in map(plain, message.splitlines()):
        err().print(label + Text(line, ""), soft_wrap=True)


def remark(message: str) -> None:
    """Say something in passing, on stderr."""
    err().print(Text(plain(message), "dim"), soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON document; JSON knows no infinity, so an endless wait is null."""
    click.echo(plain_json(json.dumps(_finite(data), indent=2, ensure_ascii=False)))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
