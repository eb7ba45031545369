"""Game days for the whole fleet: posted on the board by a command, and kept in each process.

What stands there is a `DayNotice` with the time that it has left, by the store's clock.  A game day
ends with its time also in a process that can't reach the board any more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final

from pilotlight.core.drills.schedule import GameDay, GameDays
from pilotlight.errors import ConfigError
from pilotlight.state.board import Entry, Errand, drop, put
from pilotlight.state.notice import DayNotice, dump, read
from pilotlight.state.url import StateUrl, open_board

FIELD: Final = "drill:"
_ID: Final = re.compile("[0-9a-f]{1,32}")


class Drills:
    """The board's game days in this process; routes ask `days`."""

    def __init__(
        self,
        refresh_soon: Callable[[], None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.days = GameDays(refresh_soon, clock=clock, wall_clock=wall_clock)
        self._wall_clock = wall_clock
        self._known: dict[str, GameDay] = {}

    def take(self, entries: Mapping[str, Entry]) -> None:
        """Let those hold that stand on the board; one that is known keeps its end."""
        posted = {day.id: day for day in _days_on(entries, self._wall_clock())}
        self._known = {number: self._known.get(number, day) for number, day in posted.items()}
        self.days.install(self._known.values())


def _days_on(entries: Mapping[str, Entry], now: float) -> Iterator[GameDay]:
    for field, entry in entries.items():
        number = field.removeprefix(FIELD)
        if number == field or not _ID.fullmatch(number):
            continue
        if (day := read(DayNotice, field, entry)) is not None:
            yield GameDay(number, day.target, day.rate, now + entry.left, day.route)


class DrillBoard:
    """The store as a command uses it; each method raises ConfigError when it can't be used.

    `path` is its name in messages, without secrets.
    """

    problem = None  # a store that can't be read raises

    def __init__(self, url: StateUrl) -> None:
        self.path = str(url)
        self._url = url
        self._drills = Drills()
        self.days = self._drills.days

    def look(self) -> None:
        """Read what is under way."""
        self._drills.take(self._exchange())

    def post(self, day: GameDay) -> None:
        """Add a game day; each process finds it with its next look, within a second or so."""
        notice = dump(DayNotice(day.target, day.rate, day.route))
        errand = put(FIELD + day.id, notice, day.until - time.time())
        self._drills.take(self._exchange([errand]))

    def clear(self) -> None:
        """End all of them."""
        found = self._exchange().items()
        errands = [drop(field, each.value) for field, each in found if field.startswith(FIELD)]
        self._drills.take(self._exchange(errands))

    def _exchange(self, errands: Sequence[Errand] = ()) -> Mapping[str, Entry]:
        try:
            with closing(open_board(self._url)) as board:
                return board.exchange(errands)
        except Exception as error:
            raise ConfigError(f"{self.path}: {type(error).__name__}: {error}") from None
