"""Operators' orders: trip, reset and drill, for every worker of the site.

Breakers live in the workers, so a command can't reach them itself.  It writes an order to
the database; each worker reads the few that are in force every `EVERY` seconds, in the
background, and keeps to them until they end.  A worker whose database is out of reach
ends its drills by their own time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

if TYPE_CHECKING:
    from django_pilotlight.models import Order

EVERY: Final = 2.0  # seconds between two looks of a worker
RESET_STANDS: Final = 60.0  # seconds within which every worker has looked
LONGEST: Final = 24 * 60  # minutes that a drill or a trip may last


def post(kind: str, target: str, seconds: float) -> Order:
    """Order something of every worker, for so many seconds."""
    from django_pilotlight.conf import own
    from django_pilotlight.models import Order

    until = timezone.now() + timedelta(seconds=seconds)
    return Order.objects.using(own().database).create(kind=kind, target=target, until=until)


def withdraw(**which: Any) -> int:
    """Withdraw the orders that match, such as `kind="drill"`; return how many were in force."""
    from django_pilotlight.conf import own
    from django_pilotlight.models import Order

    found = Order.objects.using(own().database).filter(**which)
    count = found.filter(until__gt=timezone.now()).count()
    found.delete()
    return count


class Orders:
    """The orders that this process keeps to."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[datetime, AbstractContextManager[object] | None]] = {}

    def look(self, database: str) -> None:
        """Take over what stands in the database; raises what the database raises."""
        from django_pilotlight.models import Order

        try:
            now = timezone.now()
            standing = list(Order.objects.using(database).filter(until__gt=now).order_by("pk"))
            for number in self._kept.keys() - {order.pk for order in standing}:
                self._end(number)
            for order in standing:
                if order.pk not in self._kept:
                    self._kept[order.pk] = (order.until, _begin(order))
        finally:
            self._end_those_over()

    def end(self) -> None:
        """Keep to none any more."""
        for number in tuple(self._kept):
            self._end(number)

    def _end_those_over(self) -> None:
        now = timezone.now()
        for number in [each for each, (until, _) in self._kept.items() if until <= now]:
            self._end(number)

    def _end(self, number: int) -> None:
        _, block = self._kept.pop(number)
        if block is not None:
            block.__exit__(None, None, None)


def _begin(order: Order) -> AbstractContextManager[object] | None:
    """Carry an order out; return what is to be ended with it."""
    from django_pilotlight.conf import app
    from pilotlight.testing import outage

    if order.kind == "drill":
        block = outage(order.target)
        block.__enter__()
        return block
    target = app().targets.get(order.target)
    if target is None:  # of a configuration that this worker does not have yet
        return None
    if order.kind == "trip":
        target.health.breaker.trip(
            "forced", max(0.0, (order.until - timezone.now()).total_seconds())
        )
    else:
        target.health.breaker.close()
    return None
