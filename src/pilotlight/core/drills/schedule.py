"""Game days: for a while, a share of a running application's calls finds a target refused.

Nothing is said to have failed, as an `outage` of `core/drills/forced.py` would: the target is
passed over at admission, and its breaker, budget and queue see nothing of it.  A game day is asked
last, after residency, so it can add a refusal and never lift one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pilotlight import events
from pilotlight.plain import logger

if TYPE_CHECKING:
    from pilotlight.core.target import Target

LONGEST: Final = 24 * 3600.0  # seconds

_log = logger("pilotlight")


@dataclass(frozen=True, slots=True)
class GameDay:
    """A share `rate` of the calls of `route` (None: of every route) finds `target` refused.

    `target` is a target's name, a model, or a provider (`openai`); `until` is in seconds
    since the epoch.
    """

    id: str
    target: str
    rate: float
    until: float
    route: str | None = None

    def means(self, route: str, target: Target) -> bool:
        """Tell whether it is about this target of this route."""
        names = (target.name, target.model, target.model.partition("/")[0])
        return self.target in names and self.route in (None, route)

    def strikes(self, call_id: str) -> bool:
        """Throw the dice: the same for a call however often it asks, so also at its retries."""
        thrown = hashlib.blake2b(call_id.encode(), digest_size=8, key=self.id.encode()).digest()
        return int.from_bytes(thrown) < self.rate * 2**64


class GameDays:
    """Those under way in one configuration, each with the moment at which it ends.

    Calls read, and each source (a drill file, a site's orders) installs its own from one thread;
    `knock` is called with each call of a route, by whoever keeps a list up to date.  A day ends
    with its time even if nobody says so: by the monotonic clock too, so that a wall clock that
    is set back does not prolong it.
    """

    def __init__(
        self,
        refresh_soon: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.refresh_soon = refresh_soon
        self._clock = clock
        self._wall_clock = wall_clock
        self._ends: dict[str, dict[GameDay, float]] = {}  # a source's is replaced, never changed

    @property
    def under_way(self) -> tuple[GameDay, ...]:
        """Those that have not ended."""
        moment = self._clock()
        return tuple(day for day, ends in self._all() if moment < ends)

    def refusing(self, route: str, target: Target, call_id: str) -> GameDay | None:
        """Return the game day by which this call finds the target refused, if there is one."""
        for day, ends in self._all():
            if day.means(route, target) and self._clock() < ends and day.strikes(call_id):
                return day
        return None

    def _all(self) -> Iterator[tuple[GameDay, float]]:
        for ends in tuple(self._ends.values()):
            yield from ends.items()

    def install(self, days: Iterable[GameDay], source: str = "") -> None:
        """Let these be all that a source has, and tell which have begun and ended."""
        moment, now = self._clock(), self._wall_clock()
        before = self._ends.get(source, {})
        ends = {
            day: min(before.get(day, float("inf")), moment + min(day.until - now, LONGEST))
            for day in days
        }
        still = {day: end for day, end in ends.items() if moment < end}
        self._ends[source] = still
        for day in still.keys() - before.keys():
            _tell_started(day, still[day] - moment)
        for day in before.keys() - still.keys():
            _tell_ended(day, "over" if day in ends or moment >= before[day] else "stopped")


def _tell_started(day: GameDay, seconds: float) -> None:
    _log.warning(
        "drill %s: %.0f%% of the calls of %s find %s refused for %.0f s",
        *(day.id, 100 * day.rate, day.route or "every route", day.target, seconds),
    )
    events.emit(events.DrillStarted(day.id, day.target, day.route, day.rate, seconds))


def _tell_ended(day: GameDay, reason: Literal["over", "stopped"]) -> None:
    _log.warning("drill %s of %s has ended (%s)", day.id, day.target, reason)
    events.emit(events.DrillEnded(day.id, day.target, day.route, reason))
