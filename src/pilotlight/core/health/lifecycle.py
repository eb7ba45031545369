"""When a model will be gone, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Literal

NoticeSource = Literal["configuration", "provider", "header", "table"]

# Who is believed first.  The user knows best, then the provider's own list, then what
# it says along with an answer; a table that came with a library explains, but is not
# trusted to take a model out of service: its dates are second-hand and move.
PRECEDENCE: Final[tuple[NoticeSource, ...]] = ("configuration", "provider", "header", "table")
TRUSTED: Final = frozenset[NoticeSource]({"configuration", "provider", "header"})
WARN_AT: Final = (7, 30, 90)  # days ahead


@dataclass(frozen=True, slots=True)
class Notice:
    """One source's word on a model's end; `day` is the first day without it (UTC)."""

    day: date
    source: NoticeSource
    replacement: str | None = None

    def days_left(self, today: date) -> int:
        """Return the days until the model is gone; 0 or less when it is."""
        return (self.day - today).days


@dataclass(slots=True)
class Lifecycle:
    """What is known of the end of one target's model."""

    _notices: dict[NoticeSource, Notice] = field(default_factory=dict)
    _hearsay: Notice | None = None
    _warned: int | None = None  # the nearest mark that has been warned of

    def note(self, notice: Notice) -> None:
        """Take note of what a source says; its latest word holds."""
        self._notices[notice.source] = notice

    def hear(self, notice: Notice | None) -> None:
        """Take over what another process knows, for as long as it says so; None: no longer.

        What this process has been told itself by the same source stands over it.
        """
        self._hearsay = notice

    @property
    def notice(self) -> Notice | None:
        """The word of the source that is believed first."""
        heard = self._hearsay
        return _first(self._notices if heard is None else {heard.source: heard} | self._notices)

    @property
    def own(self) -> Notice | None:
        """The same, without what other processes know."""
        return _first(self._notices)

    def retired(self, now: float) -> Notice | None:
        """Return the notice that has come true by `now` (seconds since the epoch), if any."""
        if not self._notices and self._hearsay is None:
            return None
        notice = self.notice
        if notice is None or notice.source not in TRUSTED:
            return None
        return notice if notice.days_left(day_of(now)) <= 0 else None

    def due_warning(self, now: float) -> Notice | None:
        """Return the notice to warn of, once at each of 90, 30 and 7 days ahead."""
        notice = self.notice if self._notices or self._hearsay else None
        if notice is None:
            return None
        left = notice.days_left(day_of(now))
        mark = next((mark for mark in WARN_AT if left <= mark), None)
        if mark is None or (self._warned is not None and self._warned <= mark):
            return None
        self._warned = mark
        return notice


def _first(notices: Mapping[NoticeSource, Notice]) -> Notice | None:
    return next((notices[source] for source in PRECEDENCE if source in notices), None)


def day_of(now: float) -> date:
    """Return the UTC day of a moment in seconds since the epoch."""
    return datetime.fromtimestamp(now, UTC).date()
