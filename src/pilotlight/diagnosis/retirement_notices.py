"""Retirement as providers announce it along with an answer, and as litellm's table has it.

Mistral sends `x-model-deprecation-timestamp`; gateways may send `Deprecation`
(RFC 9745: `@` and seconds since the epoch) and `Sunset` (RFC 8594: an HTTP date).
Sunset is when the model stops; Deprecation alone only says that it will.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from pilotlight.catalog import models, retired
from pilotlight.core.health.lifecycle import Notice

MISTRAL: Final = "x-model-deprecation-timestamp"
SUNSET: Final = "sunset"
DEPRECATION: Final = "deprecation"


def announced(headers: Mapping[str, str]) -> bool:
    """Tell, at the price of three look-ups, whether there is anything to read."""
    return SUNSET in headers or MISTRAL in headers or DEPRECATION in headers


def notice_in(headers: Mapping[str, str]) -> Notice | None:
    """Return the end that the headers name; None where they name none. Never raises."""
    for name in (SUNSET, MISTRAL):
        if (day := _day(headers.get(name, ""))) is not None:
            return Notice(day, "header")
    return None


@lru_cache(maxsize=256)
def notice_in_table(model: str) -> Notice | None:
    """Return the end that litellm's table gives a model.

    `model` is litellm's `provider/model` or the name alone.
    """
    table = models.table()
    for name in (model, model.partition("/")[2]):
        day = _day(str((table.get(name) or {}).get("deprecation_date", "")))
        if day is not None:
            known = retired.lookup(model)
            return Notice(day, "table", known.replacement if known else None)
    return None


def _day(text: str) -> date | None:
    """Read an HTTP date, an ISO date, or seconds since the epoch (with RFC 9745's `@`)."""
    text = text.strip()
    for read in (_http, _iso, _epoch):
        try:
            return read(text)
        except (ValueError, TypeError, OverflowError, OSError, IndexError):
            continue
    return None


def _http(text: str) -> date:
    return parsedate_to_datetime(text).date()


def _iso(text: str) -> date:
    return datetime.fromisoformat(text).date()


def _epoch(text: str) -> date:
    seconds = float(text.removeprefix("@"))
    # Milliseconds since the epoch are the only way to a year beyond 5138.
    return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC).date()
