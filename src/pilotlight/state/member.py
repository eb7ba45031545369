"""One endpoint's part in the fleet: what this process tells of it, hears of it, and may try.

A break is news at once here, and with the next exchange everywhere.  When it is over, one
process of the fleet has the lease to try, for all of its `trial_calls`; the others stay
open.  Its verdict is the next notice.  The lease is claimed ahead of the break's end by a
process that has calls for the endpoint, is prolonged while that process lives, and is left
to another that wants it when no call comes.  Who has left it untried wants it back only
after twice as many calls: two processes that are busy in turn must not pass it to and fro.

Calls only read what the last exchange has left here: `wait` does no I/O.  When no exchange
has worked for `LOST_AFTER` seconds, each process tries by itself, as without a board.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any, Final

from pilotlight.core.circuit import HalfOpen, Open
from pilotlight.core.target import Health
from pilotlight.state.board import Entry, Errand, claim, drop, put
from pilotlight.state.notice import KEEP, LONGEST_BREAK, Notice, Retirement, dump, read

REFRESH: Final = 1.0  # seconds between two exchanges, at most
LEASE: Final = 5.0  # seconds that a lease outlives the process that holds it
AHEAD: Final = 1.5  # seconds before the break's end at which the lease is claimed
FRESH: Final = 1.0  # seconds for which a call counts as demand for the endpoint
LOST_AFTER: Final = 3.0  # seconds without an exchange, after which this process is on its own
PATIENCE: Final = 2  # calls that go without the lease before it is asked for
APART: Final = 0.1  # seconds between two of them: one call may ask several times
SUSPICION: Final = 3.0  # seconds that one stands on the board
END_STANDS: Final = 7200.0  # seconds that a retirement stands; prolonged while anyone knows it


class Member:
    """The leave that an endpoint's breaker asks for trials; times by the breaker's clock."""

    def __init__(self, key: str, health: Health) -> None:
        self.key = key
        self.health = weakref.ref(health)
        breaker = health.breaker
        self._clock = breaker.clock
        self._seen: tuple[Any, float] | None = None
        if breaker.state.name == "closed":
            self._seen = _mark(breaker.state)
        self._sending = self._seen
        self._number = 0
        self._last: tuple[str, int] | None = None
        self._end: Retirement | None = None  # the one that stands on the board
        self.begin_afresh()
        breaker.leave = self

    def begin_afresh(self) -> None:
        """Start without a lease, as in a forked child."""
        self._sent_at = self._heard = self._clock()
        self._missing = self._wanted = False
        self.in_haste = False  # calls wait for the end of a trial, here or elsewhere
        self._leased_until = self._asked = self._refused_at = -math.inf
        self._refused, self._patience = 0, PATIENCE

    # In the calls' threads.

    def wait(self, now: float, until: float) -> float | None:
        """See `core.circuit.Leave`."""
        if now < until:
            return until - now
        if now < self._leased_until or now - self._heard > LOST_AFTER:
            return None
        return REFRESH

    def asked(self, now: float, until: float) -> None:
        """See `core.circuit.Leave`."""
        self._asked = now
        waits = now >= until - AHEAD and now >= self._leased_until
        if waits and now - self._refused_at >= APART:
            self._refused_at = now
            self._refused += 1

    @property
    def has_news(self) -> bool:
        """Whether the breaker has moved since the last exchange."""
        health = self.health()
        return health is not None and _mark(health.breaker.state) != self._seen

    # In the fleet's thread, around an exchange.

    def errands(self, health: Health, me: str) -> list[Errand]:
        """Return what there is to tell and to ask for."""
        state, self._sent_at = health.breaker.state, self._clock()
        self._sending = _mark(state)
        return [
            *self._break(health, state, me),
            *self._trial(state, me),
            *self._suspicion(health, me),
            *self._retirement(health),
        ]

    def _break(self, health: Health, state: Any, me: str) -> list[Errand]:
        if moved := self._sending != self._seen:
            self._patience = PATIENCE
        field, now = f"break:{self.key}", self._sent_at
        if isinstance(state, Open):
            left = state.until - now
            if moved:
                self._number += 1
                self._asked = now
            elif not (self._missing and left > 0):
                return []
            notice = Notice(
                "open", state.reason[:64], health.breaker.failed_trials, me, self._number
            )
            # The store has forgotten it: told again, unless another was quicker.
            write = put if moved else claim
            return [write(field, dump(notice), min(left, LONGEST_BREAK) + KEEP)]
        if moved and self._seen is not None and not isinstance(state, HalfOpen):
            self._number += 1
            return [put(field, dump(Notice("closed", "", 0, me, self._number)), KEEP)]
        return []

    def _trial(self, state: Any, me: str) -> list[Errand]:
        """Claim, prolong or leave the lease for trials."""
        now, lease, want = self._sent_at, f"trial:{self.key}", f"want:{self.key}"
        holding = now < self._leased_until
        until = state.until if isinstance(state, Open) else now
        idle = now - self._asked > FRESH
        due = isinstance(state, Open | HalfOpen) and until - now <= AHEAD
        self.in_haste = due and (holding or not idle)
        if not due:
            self._leased_until, self._refused = -math.inf, 0
            return [drop(lease, me), drop(want, me)] if holding else []
        trying = isinstance(state, HalfOpen) and bool(state.places) and now < state.lease_ends
        if not trying and idle and self._wanted:
            if not holding:
                return []
            self._leased_until = -math.inf
            self._patience *= 2
            return [drop(lease, me)]
        if holding or trying or not idle or now > until + FRESH:
            asking = [put(want, me, REFRESH * 3)] if self._refused >= self._patience else []
            return [*asking, claim(lease, me, LEASE)]
        return []

    def _suspicion(self, health: Health, me: str) -> list[Errand]:
        """Tell people that calls go elsewhere; each process suspects by itself."""
        if not health.breaker.suspected:
            return []
        notice = Notice("closed", "suspected", 0, me, self._number)
        return [put(f"doubt:{self.key}", dump(notice), SUSPICION)]

    def _retirement(self, health: Health) -> list[Errand]:
        end = Retirement.of(health.lifecycle.notice)
        if end is None or end == self._end:
            return []
        return [put(f"end:{self.key}", dump(end), END_STANDS)]

    def take(self, health: Health, entries: Mapping[str, Entry], me: str) -> None:
        """Take over what stands on the board."""
        self._seen, self._heard = self._sending, self._sent_at
        self._take_break(health, entries.get(f"break:{self.key}"), me)
        lease, want = entries.get(f"trial:{self.key}"), entries.get(f"want:{self.key}")
        mine = lease is not None and lease.value == me
        # Counted from before the exchange, so that it ends here before it ends at the store.
        self._leased_until = self._sent_at + lease.left if mine and lease else -math.inf
        self._wanted = want is not None and want.value != me
        if mine:
            self._refused = 0
        self._take_retirement(health, entries.get(f"end:{self.key}"))

    def _take_break(self, health: Health, entry: Entry | None, me: str) -> None:
        breaker = health.breaker
        self._missing = entry is None
        notice = None if entry is None else read(Notice, entry.value)
        if entry is None or notice is None or notice.by == me:
            return
        if (notice.by, notice.number) == self._last or _mark(breaker.state) != self._seen:
            return  # known; or there is news of our own, which goes out first
        self._last = (notice.by, notice.number)
        if notice.state == "closed":
            breaker.learn_closed()
        else:
            breaker.learn_open(notice.reason, entry.left - KEEP, notice.failed_trials)
        self._seen = _mark(breaker.state)

    def _take_retirement(self, health: Health, entry: Entry | None) -> None:
        self._end = None
        if entry is not None and (end := read(Retirement, entry.value)) is not None:
            health.lifecycle.note(end.notice())
            if entry.left > END_STANDS / 2:  # else who knows of it says it again
                self._end = end


def _mark(state: Any) -> tuple[Any, float]:
    """Return what tells a breaker's state from an earlier one: itself, and its break's end."""
    return state, state.until if isinstance(state, Open) else 0.0
