"""Log lines: structlog over stdlib logging, so that they land where the application's do.

Silent in an application that has set nothing up; event and `extra` for plain logging;
all of it as JSON for structlog's `ProcessorFormatter`.  Nothing is configured here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from functools import cache
from typing import Any

from pilotlight.plain import logger
from pilotlight.telemetry.names import Happening


def wanted(happening: Happening, level: int | None = None) -> bool:
    """Tell whether anybody reads lines of this happening's level."""
    return _plain(happening.logger).isEnabledFor(level or happening.level)


def say(happening: Happening, keys: Mapping[str, Any], level: int | None = None) -> None:
    """Write one line, if anybody reads that level (None: the happening's own)."""
    if wanted(happening, level):
        _logger(happening.logger).log(level or happening.level, happening.name, **keys)


@cache
def _plain(name: str) -> logging.Logger:
    return logger(name)  # which takes a lock


@cache
def _logger(name: str) -> Any:
    import structlog  # slow to import: not before the first line

    return structlog.wrap_logger(
        _plain(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _spare_the_record,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )


# What a record has of its own: stdlib raises KeyError for an `extra` of the same name.
_TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _spare_the_record(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Rename what the application has bound under a name that stdlib keeps for itself."""
    for name in _TAKEN & line.keys():
        line[f"{name}_"] = line.pop(name)
    return line
