"""Log lines by the standard library, so that they land where the application's do.

The message has the facts in words; `extra` has them by name, the event's as `event_name`, and what
the application has bound by structlog, if it uses that.  Nothing is configured here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from pilotlight.plain import logger
from pilotlight.telemetry.names import Happening


def wanted(happening: Happening, level: int | None = None) -> bool:
    """Tell whether anybody reads lines of this happening's level."""
    return _plain(happening.logger).isEnabledFor(level or happening.level)


def say(happening: Happening, keys: Mapping[str, Any], level: int | None = None) -> None:
    """Write one line, if anybody reads that level (None: the happening's own)."""
    if not wanted(happening, level):
        return
    shown = {key: f"{told:.1f}" if type(told) is float else told for key, told in keys.items()}
    extra = {"event_name": happening.name, **_bound(), **keys}
    for name in _TAKEN & extra.keys():
        extra[f"{name}_"] = extra.pop(name)
    message = happening.said.format_map(_Known(shown))
    _plain(happening.logger).log(level or happening.level, "%s", message, extra=extra)


class _Known(dict[str, Any]):
    """The facts of a line; one that is not there is left out."""

    def __missing__(self, key: str) -> str:
        return "?"


@cache
def _plain(name: str) -> logging.Logger:
    return logger(name)  # which takes a lock


def _bound() -> Mapping[str, Any]:
    """Return what the application has bound to its context, where it uses structlog."""
    structlog = sys.modules.get("structlog.contextvars")
    return {} if structlog is None else structlog.get_contextvars()


# What a record has of its own: stdlib raises KeyError for an `extra` of the same name.
_TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
