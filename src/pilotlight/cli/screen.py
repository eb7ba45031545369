"""Where words go: answers and tables to stdout, everything about them to stderr.

rich leaves colour out when the stream is no terminal or NO_COLOR is set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

WIDE = 160  # columns for a table that goes into a pipe, where nothing need be folded


def out() -> Console:
    """Return the console for results."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def err() -> Console:
    """Return the console for what is said about them."""
    return Console(stderr=True, highlight=False)


def complain(message: str, *, mend: bool = False) -> None:
    """Say on stderr what is wrong, or what mends it; as plain text, for brackets are TOML here."""
    label = Text("  mend: ", "yellow") if mend else Text("pilotlight: ", "bold red")
    for line in message.splitlines():
        err().print(label + Text(line, ""), soft_wrap=True)


def remark(message: str) -> None:
    """Say something in passing, on stderr."""
    err().print(Text(message, "dim"), soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON document; JSON knows no infinity, so an endless wait is null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
