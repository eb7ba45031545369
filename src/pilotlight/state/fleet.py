"""The process's own end of a board: one daemon thread, which tells, listens and claims.

It starts with the first call of a route whose targets share their state, and ends when
none of them is left.  It looks at the board once a second, sooner when a breaker has moved
or calls wait for a trial; never more than twice a second, whatever happens.  A store that
is slow, gone or broken costs a call nothing, and is said once.  A forked child begins afresh.
"""

from __future__ import annotations

import atexit
import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pilotlight import events
from pilotlight.core.breaker import breaker
from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.drills.schedule import GameDays
from pilotlight.core.fork import GATE
from pilotlight.core.target import Health
from pilotlight.plain import logger
from pilotlight.state.board import Board
from pilotlight.state.drill_board import Drills
from pilotlight.state.member import REFRESH, Member
from pilotlight.state.url import StateUrl, open_board

GAP: Final = 0.55  # seconds between the beginnings of two exchanges, at least
JITTER: Final = 0.2  # of the time between two looks: a fleet must not knock in step

_log = logger("pilotlight.state")


class Fleet:
    """The members of this process and their board; thread-safe but for `step`.

    `shown` is the store's name in messages.  A test steps by hand and starts no thread.
    """

    def __init__(
        self,
        opened: Callable[[], Board],
        shown: str = "memory",
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.shown = shown
        self._open = opened
        self._chance = chance
        self._members: list[Member] = []
        self._drills = Drills(self.attend)
        self._gone = False
        self.begin_afresh()

    def begin_afresh(self) -> None:
        """Start without a thread, a connection, or a lease; with locks that nobody holds."""
        self.worker = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._board: Board | None = None  # the parent's is left to the parent
        for each in self._members:
            each.begin_afresh()

    def join(self, key: str, health: Health) -> None:
        """Share an endpoint's state; `key` is its name on the board (`Endpoint.board_key`)."""
        with self._lock:
            if health.breaker.gate is None:
                self._members.append(Member(key, health, self.wake))
                health.attend = self.attend

    def attend(self) -> None:
        """See that the thread runs; told of each call, which costs a comparison."""
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._halt.is_set():
                return
            if _moved not in breaker.observers:
                breaker.observers.append(_moved)
            thread = threading.Thread(target=self._loop, name="pilotlight-state", daemon=True)
            self._thread = thread
            with suppress(RuntimeError):  # no more threads: the interpreter is ending
                thread.start()

    def wake(self) -> None:
        """Look at the board soon: there is news.  Never waits."""
        self._woken.set()

    def stop(self, patience: float = 0.0) -> None:
        """Let the thread end; wait for it at most so many seconds."""
        self._halt.set()
        self._woken.set()
        thread = self._thread
        if patience and thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    @property
    def days(self) -> GameDays:
        """The game days that stand on the board."""
        return self._drills.days

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def has(self, member: object) -> bool:
        """Whether this is one of its members."""
        return member in self._members

    # The thread.

    def _loop(self) -> None:
        while not self._halt.is_set():
            began = time.monotonic()
            self._woken.clear()
            try:
                self.step()
            except Exception:
                _log.exception("%s: the shared state failed to work", self.shown)
            if self._is_alone():
                break
            if not any(each.in_haste for each in self._members):
                self._woken.wait(REFRESH * (1 - JITTER * self._chance()))
            self._halt.wait(max(0.0, began + GAP - time.monotonic()))
        self._leave_board()

    def _is_alone(self) -> bool:
        """Drop the members whose endpoints are gone; tell, and resign, if none is left."""
        with self._lock:
            self._members = [each for each in self._members if each.health() is not None]
            if not self._members and self._thread is threading.current_thread():
                self._thread = None
            return not self._members

    def step(self) -> None:
        """Make one exchange with the board: one round trip, whatever becomes of it."""
        with self._lock:
            known = [(each, each.health()) for each in self._members]
        members = [(each, health) for each, health in known if health is not None]
        try:
            with GATE:  # no fork while a breaker's lock may be held
                errands = [
                    errand
                    for each, health in members
                    for errand in each.errands(health, self.worker)
                ]
            if self._board is None:
                self._board = self._open()
            entries = self._board.exchange(errands)
        except Exception as error:
            for each, health in members:
                each.miss(health)
            self._trouble(error)
            return
        with GATE:
            for each, health in members:
                each.take(health, entries, self.worker)
        self._drills.take(entries)
        self._well()

    def _trouble(self, error: Exception) -> None:
        """Say once that the store is out of order, and open it anew next time."""
        self._leave_board()
        if not self._gone:
            self._gone = True
            problem = f"{type(error).__name__}: {error}"
            _log.warning(
                "%s: %s; until it is back, each process goes by what it sees", self.shown, problem
            )
            events.emit(events.StateStore(self.shown, "gone", problem))

    def _well(self) -> None:
        if self._gone:
            self._gone = False
            _log.warning("%s: the store is back", self.shown)
            events.emit(events.StateStore(self.shown, "back"))

    def _leave_board(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            with suppress(Exception):
                board.close()


_fleets: dict[StateUrl, Fleet] = {}
_fleets_lock = threading.Lock()


def fleet_of(url: StateUrl) -> Fleet:
    """Return the process's own end of a store; nothing is contacted or started yet."""
    with _fleets_lock:
        if url not in _fleets:
            _fleets[url] = Fleet(lambda: open_board(url), str(url))
        return _fleets[url]


def reset(patience: float = 20.0) -> None:
    """Leave every board and let the threads end, as between two tests."""
    with _fleets_lock:
        fleets = list(_fleets.values())
        _fleets.clear()
    for each in fleets:
        each.stop(patience)


def _moved(changed: Breaker) -> None:
    """A breaker has counted a failure or changed its state: if it is ours, tell the others soon."""
    member = changed.gate
    if isinstance(member, Member) and member.has_news:
        for each in tuple(_fleets.values()):
            if each.has(member):
                each.wake()


def _begin_afresh() -> None:
    """In a forked child."""
    global _fleets_lock  # noqa: PLW0603 - the parent's may be held for good
    _fleets_lock = threading.Lock()
    for each in _fleets.values():
        each.begin_afresh()


def _stop_all() -> None:
    for each in _fleets.values():
        each.stop(0.1)


GATE.in_child(_begin_afresh)
atexit.register(_stop_all)
