"""The kinds of values that keys have: how each is read, and the range that it may have."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from pilotlight.config.messages import nearest
from pilotlight.core.requirements import ABILITIES
from pilotlight.files import distrust
from pilotlight.privacy.classification import Hook, hook_from

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

LONGEST: Final = 1e9  # seconds, thirty years: all that the timers of a system take with certainty
MOST: Final = 1_000_000_000


class Table(BaseModel):
    """A table of a configuration: unknown keys are refused, and nothing changes later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    def given(self) -> dict[str, Any]:
        """Return the keys that were given, and not those that keep their default."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def over(self, common: Self) -> Self:
        """Return the common table with the keys in place that were given here."""
        return common.model_copy(update=self.given())


def seconds(value: Any) -> Any:
    """Read a duration: a number of seconds, or "500ms", "30s", "2m", "1h"."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError('a duration is a number of seconds, or like "500ms" "30s" "2m" "1h"')
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("a duration is a finite number of seconds")
    return value


def bare(key: str) -> BeforeValidator:
    """Read a bare value as the table's one key: `timeout = 5` as `timeout.total = 5`."""
    return BeforeValidator(lambda given: given if isinstance(given, Mapping) else {key: given})


def _ability(value: Any) -> Any:
    if isinstance(value, str) and value not in ABILITIES:
        mend = nearest(value, ABILITIES) or f"one of {', '.join(ABILITIES)}"
        raise ValueError(f"unknown ability; {mend}")
    return value


def _sendable(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON has no word for, before a call would."""
    try:
        json.dumps(options, allow_nan=False, default=str)
    except (ValueError, RecursionError):
        raise ValueError("holds a number that is not finite, or is nested too deeply") from None
    return options


def _hook(value: Any, info: ValidationInfo) -> Hook | None:
    """Import the function, from a mapping or a file that nobody else can have written."""
    why = distrust(info.context) if isinstance(value, str) and info.context else None
    if why is not None:
        raise ValueError(f"code is imported only from a file that nobody else can write: {why}")
    return None if value is None else hook_from(value)


def _log_path(value: str) -> str:
    if Path(value).suffix not in (".jsonl", ".db", ".sqlite", ".sqlite3"):
        raise ValueError('the path ends in ".jsonl", or for SQLite in ".db" or ".sqlite"')
    return value


Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=LONGEST)]
Wait = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=LONGEST)]


def _no_truth(value: Any) -> Any:
    """Refuse `true` where a number is wanted: Python would take it for 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number")  # noqa: TRY004 - pydantic's
    return value


_Number = BeforeValidator(_no_truth)
Rate = Annotated[float, _Number, Field(gt=0, le=1)]
Count = Annotated[int, _Number, Field(ge=1, le=MOST)]
Amount = Annotated[int, _Number, Field(ge=0, le=MOST)]
Ability = Annotated[str, BeforeValidator(_ability)]
Options = Annotated[dict[str, Any], AfterValidator(_sendable)]
Sensitive = Annotated[Hook | None, BeforeValidator(_hook)]
LogPath = Annotated[str, AfterValidator(_log_path)]
