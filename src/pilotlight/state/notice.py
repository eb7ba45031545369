"""What stands on the board: breakers, leases for trials, retirements, game days.

    break:KEY   a `Notice`; stands for `KEEP` seconds longer than its break lasts
    trial:KEY   the worker that may try the endpoint; prolonged while it lives
    want:KEY    a worker with calls for the endpoint, and without that lease
    end:KEY     a `Retirement` that a provider announced
    drill:ID    a `DayNotice`, for as long as it goes on

A value that can't be read, whoever wrote it, is as good as none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal, TypeVar

from pilotlight.core.lifecycle import Notice as EndNotice

KEEP: Final = 600.0  # seconds that a notice outlives its break, for those who come late
LONGEST_BREAK: Final = 3600.0  # seconds; a break "for good" is looked at anew by another process
_WORD: Final = 64  # characters of a reason
_NAME: Final = 256  # characters of a target's name, or a route's

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Notice:
    """A breaker's state in the words of the process that changed it last.

    `failed_trials` lengthens the next break; `by` and `number` tell one notice from
    another.  How long the break lasts is said by the time that the notice has left.
    """

    state: Literal["open", "closed"]
    reason: str
    failed_trials: int
    by: str
    number: int

    def __post_init__(self) -> None:
        _check(self.state in ("open", "closed"))
        _check(isinstance(self.reason, str) and len(self.reason) <= _WORD)
        _check(type(self.failed_trials) is int and 0 <= self.failed_trials <= 32)
        _check(isinstance(self.by, str) and len(self.by) <= _WORD and type(self.number) is int)


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model's end, as its provider announced it to one of the processes."""

    day: str
    source: Literal["provider", "header"]
    replacement: str | None

    def __post_init__(self) -> None:
        date.fromisoformat(self.day)
        _check(self.source in ("provider", "header"))
        _check(self.replacement is None or isinstance(self.replacement, str))

    @classmethod
    def of(cls, notice: EndNotice | None) -> Retirement | None:
        """Return what others do not know by themselves: not a configuration's or a table's word."""
        if notice is not None and (notice.source == "provider" or notice.source == "header"):  # noqa: PLR1714 - mypy
            return cls(notice.day.isoformat(), notice.source, notice.replacement)
        return None

    def notice(self) -> EndNotice:
        """Return it as the core keeps it."""
        return EndNotice(date.fromisoformat(self.day), self.source, self.replacement)


@dataclass(frozen=True, slots=True)
class DayNotice:
    """A game day: `target`, `rate` and `route` as in `core.gameday.GameDay`."""

    target: str
    rate: float
    route: str | None

    def __post_init__(self) -> None:
        _check(_is_name(self.target) and (self.route is None or _is_name(self.route)))
        _check(isinstance(self.rate, int | float) and 0 < self.rate <= 1)


def dump(record: Notice | Retirement | DayNotice) -> str:
    """Return a record as it stands on the board."""
    return json.dumps(asdict(record), separators=(",", ":"))


def read(kind: type[T], value: str) -> T | None:
    """Return a record from the board, None when it is none."""
    try:
        data: Any = json.loads(value)
        return kind(**data)
    except (ValueError, TypeError, RecursionError):
        return None


def _is_name(said: object) -> bool:
    return isinstance(said, str) and 0 < len(said) <= _NAME


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError
