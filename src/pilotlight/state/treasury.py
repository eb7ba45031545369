"""The process's own end of the budgets that it shares: one daemon thread, which asks their store.

It starts with the first call that needs a slice.  It asks at once when a call waits or a slice
runs low, within a second when money was spent, a few times more when calls have ceased, and then
not at all.  A store that is slow, gone or broken fails no call: the slices here are used up, and
then each budget goes by its `offline`.  A forked child begins afresh, as a process of its own.
"""

from __future__ import annotations

import atexit
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakSet, ref

from pilotlight import events
from pilotlight.core.fork import GATE
from pilotlight.core.spending.budget import Budget
from pilotlight.core.spending.shared import IDLE, SharedLedger
from pilotlight.plain import logger
from pilotlight.state.accounts import Accounts

SOON: Final = 0.05  # seconds between two exchanges, at least
LATER: Final = 1.0  # seconds within which what was spent is told

_log = logger("pilotlight.state")


class Treasury:
    """The shared ledgers of this process, and their store.  A test steps by hand."""

    def __init__(
        self,
        budgets: Iterable[Budget],
        opened: Callable[[], Accounts],
        shown: str = "memory",
        *,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shown` is the store's name in messages."""
        self.shown = shown
        self._open = opened
        self.forked()
        self.ledgers: Mapping[str, SharedLedger] = {
            each.name: SharedLedger(each, now, self.wake, steady) for each in budgets
        }
        _TREASURIES.add(self)
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: a worker of its own, without a thread or a connection."""
        self.worker = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._number = 0
        self._starting = threading.Lock()
        self._exchange = threading.Lock()
        self._pace = _Pace()
        self._thread: threading.Thread | None = None
        self._accounts: Accounts | None = None  # the parent's is left to the parent
        self._gone = False

    def wake(self, urgent: bool) -> bool:
        """Have the store asked, never waiting for it; tell whether somebody will."""
        if self._thread is None and not self._start():
            return False
        self._pace.wake(urgent)
        return True

    def _start(self) -> bool:
        with self._starting:
            if self._thread is not None:
                return True
            thread = threading.Thread(
                target=_keep_asking, args=(ref(self), self._pace), name="pilotlight-budgets"
            )
            thread.daemon = True
            try:
                thread.start()
            except RuntimeError:  # no more threads: the interpreter is ending
                return False
            self._thread = thread
            return True

    def settle(self) -> None:
        """Tell what was spent and give the slices back; takes as long as one exchange."""
        if self._number:
            for ledger in self.ledgers.values():
                ledger.give_back()
            self.step()

    @property
    def lends(self) -> bool:
        """Whether there is a slice that might be given back."""
        return any(ledger.lent > 0 for ledger in self.ledgers.values())

    def step(self) -> None:
        """Make one exchange with the store, whatever becomes of it."""
        with self._exchange:
            claims = {name: ledger.claims() for name, ledger in self.ledgers.items()}
            self._number += 1
            try:
                if self._accounts is None:
                    self._accounts = self._open()
                every = [claim for each in claims.values() for claim in each]
                grants = iter(self._accounts.exchange(self.worker, self._number, every))
                told = {name: [next(grants) for _ in each] for name, each in claims.items()}
            except Exception as error:
                for ledger in self.ledgers.values():
                    ledger.miss()
                self._trouble(error)
                return
            for name, ledger in self.ledgers.items():
                ledger.take(claims[name], told[name])
        if self._gone:
            self._gone = False
            _log.warning("%s: the store of the budgets is back", self.shown)
            events.emit(events.StateStore(self.shown, "back"))

    def _trouble(self, error: Exception) -> None:
        """Say once that the store is out of order, and open it anew next time."""
        accounts, self._accounts = self._accounts, None
        if accounts is not None:
            with suppress(Exception):
                accounts.close()
        if not self._gone:
            self._gone = True
            problem = f"{type(error).__name__}: {error}"
            _log.warning(
                "%s: %s; until it is back, budgets go by their slices and by `offline`",
                self.shown,
                problem,
            )
            events.emit(events.StateStore(self.shown, "gone", problem))


class _Pace:
    """When the thread asks next."""

    def __init__(self) -> None:
        self._news, self._urgent = threading.Event(), threading.Event()

    def wake(self, urgent: bool) -> None:
        if urgent:
            self._urgent.set()
        self._news.set()

    def wait(self, longest: float) -> bool:
        """Wait for news, so many seconds at most; tell whether there are some."""
        news = self._news.wait(longest)
        self._news.clear()
        self._urgent.clear()
        return news

    def rest(self) -> None:
        """Leave the store alone for a moment."""
        time.sleep(SOON)
        self._urgent.wait(LATER - SOON)


def _keep_asking(treasury: ref[Treasury], pace: _Pace) -> None:
    """Ask the store when there is reason to, as long as there is somebody to ask for."""
    longest = IDLE
    while True:
        news = pace.wait(longest)
        if (here := treasury()) is None:
            return
        if news or here.lends:
            here.step()
        longest = LATER if here.lends else IDLE  # a slice that is not used shrinks
        del here
        pace.rest()


_TREASURIES: Final[WeakSet[Treasury]] = WeakSet()
"""Every living one, only so that the end of the process can settle them."""


def _settle_all() -> None:
    for each in list(_TREASURIES):
        each.settle()


atexit.register(_settle_all)
