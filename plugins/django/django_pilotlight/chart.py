"""The chart above the admin's list: events a day, of the last two weeks that have any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from django_pilotlight.models import FailoverEvent

DAYS: Final = 14
WIDTH: Final = 40  # of a day's column, in the chart's units
HEIGHT: Final = 90


@dataclass(frozen=True, slots=True)
class Bar:
    """One day; places in the chart's units."""

    day: date
    count: int
    x: int
    y: int
    height: int

    @property
    def middle(self) -> int:
        """Where its labels stand."""
        return self.x + WIDTH // 2 - 3


def bars(events: QuerySet[FailoverEvent]) -> list[Bar]:
    """Count the events by day, up to the newest; empty when there are none."""
    by_day = events.order_by().annotate(day=TruncDate("at")).values("day")
    counts: dict[date, int] = dict(
        by_day.annotate(count=Count("pk")).order_by("-day").values_list("day", "count")[:DAYS]
    )
    if not counts:
        return []
    newest, most = max(counts), max(counts.values())
    days = [newest - timedelta(days=back) for back in reversed(range(DAYS))]
    return [_bar(day, counts.get(day, 0), most, at) for at, day in enumerate(days)]


def _bar(day: date, count: int, most: int, at: int) -> Bar:
    height = max(2, round(HEIGHT * count / most)) if count else 0
    return Bar(day, count, at * WIDTH, 16 + HEIGHT - height, height)
