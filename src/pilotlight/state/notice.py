"""What stands on the board: breakers, leases for trials, retirements, game days.

    break:KEY   a `Notice`; stands for `KEEP` seconds longer than its break lasts
    trial:KEY   the worker that may try the endpoint; prolonged while it lives
    end:KEY     a `Retirement` that a provider announced
    drill:ID    a `DayNotice`, for as long as it goes on

Whoever may write there may write anything: each field has bounds, and a value that is out
of them or can't be read is as good as none, and said once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final, Literal, TypeVar

from pilotlight.core.health.lifecycle import Notice as EndNotice
from pilotlight.plain import logger, plain
from pilotlight.state.board import Entry

KEEP: Final = 600.0  # seconds that a notice outlives its break, for those who come late
LONGEST_BREAK: Final = 3600.0  # seconds; a break "for good" is looked at anew by another process
_WORD: Final = 64  # characters of a reason
_NAME: Final = 256  # characters of a target's name, or a route's
_FIRST_END, _LAST_END = date(2020, 1, 1), date(2099, 12, 31)  # days on which a model may end
_MOST_SAID: Final = 100  # fields that are complained of, in the life of a process

T = TypeVar("T")

_log = logger("pilotlight.state")
_said: set[str] = set()  # fields whose trouble has been told


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
        _check(_is_text(self.reason, _WORD) and _is_text(self.by, _WORD))
        _check(type(self.failed_trials) is int and 0 <= self.failed_trials <= 32)
        _check(type(self.number) is int and 0 <= self.number < 2**63)

    @classmethod
    def opened(cls, reason: str, failed_trials: int, by: str, number: int) -> Notice:
        """Return the notice of a break, whatever its reason is called."""
        return cls("open", plain(reason)[:_WORD], failed_trials, by, number)


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model's end, as its provider announced it to one of the processes."""

    day: str
    source: Literal["provider", "header"]
    replacement: str | None

    def __post_init__(self) -> None:
        _check(_FIRST_END <= date.fromisoformat(self.day) <= _LAST_END)
        _check(self.source in ("provider", "header"))
        _check(self.replacement is None or _is_text(self.replacement, _NAME))

    @classmethod
    def of(cls, notice: EndNotice | None) -> Retirement | None:
        """Return what others do not know by themselves: not a configuration's or a table's word.

        Nor a day that nobody would believe: some servers write "never" as the year 9999.
        """
        if notice is None or notice.source == "configuration" or notice.source == "table":  # noqa: PLR1714 - mypy
            return None
        instead = notice.replacement
        named = instead if instead is None or _is_text(instead, _NAME) else None
        within = _FIRST_END <= notice.day <= _LAST_END
        return cls(notice.day.isoformat(), notice.source, named) if within else None

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
        _check(type(self.rate) in (int, float) and 0 < self.rate <= 1)


def dump(record: Notice | Retirement | DayNotice) -> str:
    """Return a record as it stands on the board."""
    return json.dumps(asdict(record), separators=(",", ":"))


def read(kind: type[T], field: str, entry: Entry | None) -> T | None:
    """Return the record in a field of the board, None when it is none; never raises."""
    if entry is None:
        return None
    try:
        data: Any = json.loads(entry.value)
        return kind(**data)
    except (ValueError, TypeError, RecursionError):
        if field not in _said and len(_said) < _MOST_SAID:
            _said.add(field)
            _log.warning("the board's %s can't be read as one of ours; it is ignored", field)
        return None


def _is_name(said: object) -> bool:
    return _is_text(said, _NAME) and said != ""


def _is_text(said: object, longest: int) -> bool:
    return isinstance(said, str) and len(said) <= longest and plain(said) == said


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError
