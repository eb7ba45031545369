"""One endpoint's part in the fleet: what this process tells of it, hears of it, and may try.

A break is news at once here, and with the next exchange everywhere.  When it is over, one
process of the fleet has the lease to try, for all of its `trial_calls`; the others stay
open.  Its verdict is the next notice.  The lease is claimed ahead of the break's end by a
process that has calls for the endpoint; after it by the first that is called while nobody
has it, and one call of it waits that moment.  A call that has met another's lease claims
nothing: it would be gone when the lease came, and who has no calls can't try.  So who has
the lease has a call for it, or lets it go.  Where the call could not wait long enough, as when
the store is slow, the lease is kept for the next one here: a second or so, then four times as
long each time.

Calls only read what the last exchange has left here: `wait` and `turn` do no I/O.  When no
exchange has worked for `LOST_AFTER` seconds, each process tries by itself, as without a board.

Whoever may write the board can have an endpoint left alone, or tried; not for longer than
the longest break of this process, or the table's own for that fault.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.breaker.states import HalfOpen, Open
from pilotlight.core.breaker.turn import Turn
from pilotlight.core.target import Health
from pilotlight.state.board import Entry, Errand, claim, drop, put
from pilotlight.state.notice import KEEP, LONGEST_BREAK, Notice, Retirement, dump, read
from pilotlight.vocabulary.faults import RULES

REFRESH: Final = 1.0  # seconds between two exchanges, at most
LEASE: Final = 5.0  # seconds that a lease outlives the process that holds it
AHEAD: Final = 1.5  # seconds before the break's end at which the lease is claimed
FRESH: Final = 1.0  # seconds for which a call counts as demand for the endpoint
LOST_AFTER: Final = 3.0  # seconds without an exchange, after which this process is on its own
HOPE: Final = 0.8  # seconds that a call waits for the next exchange: its gap, and an answer
LONGER: Final = 4.0  # times as long is the lease kept for calls, after one came too late for it
SUSPICION: Final = 3.0  # seconds that one stands on the board
END_STANDS: Final = 7200.0  # seconds that a retirement stands; prolonged while anyone knows it


class Member:
    """The gate that an endpoint's breaker asks before trials; times by the breaker's clock."""

    def __init__(self, key: str, health: Health, wake: Callable[[], None]) -> None:
        self.key = key
        self._wake = wake
        self.health = weakref.ref(health)
        breaker = health.breaker
        self._clock = breaker.clock
        self._seen: tuple[Any, float] | None = None
        if breaker.state.name == "closed":
            self._seen = _mark(breaker.state)
        self._sending = self._seen
        self._number = 0
        self._last: tuple[str, int] | None = None
        self._told: Retirement | None = None  # the end that this process has told of
        self._end_stands = False  # that one, or another process's, for long enough
        self._end_lapses = math.inf
        self.begin_afresh()
        breaker.gate = self

    def begin_afresh(self) -> None:
        """Start without a lease, as in a forked child."""
        self._sent_at = self._heard = self._clock()
        self._missing = self._squatted = False
        self.in_haste = False  # calls wait for the end of a trial, here or elsewhere
        self._leased_until = self._asked = -math.inf
        self._taken = False  # another has the lease
        self._called = self._claiming = False  # a call met a lease that was free; it is claimed
        self._turn: Turn | None = None  # the call that waits for it
        self._tried: HalfOpen | None = None  # the last state here that has had trials
        self._keep = FRESH  # seconds since the last call for which it is kept

    # In the calls' threads.

    def wait(self, now: float, until: float) -> float | None:
        """See `core.breaker.states.TrialGate`."""
        if now < until:
            return until - now
        if now < self._leased_until or now - self._heard > LOST_AFTER:
            return None
        return REFRESH

    def asked(self, now: float, until: float) -> None:
        """See `core.breaker.states.TrialGate`."""
        self._asked = now
        self._called |= self._free(now, until)

    def turn(self, now: float, until: float) -> Turn | None:
        """See `core.breaker.states.TrialGate`: for one call at a time, if nobody has it."""
        waiting = self._turn is not None and not self._turn.over
        if waiting or not self._free(now, until):
            return None
        self._turn = Turn(HOPE)
        self._wake()
        return self._turn

    def _free(self, now: float, until: float) -> bool:
        """Tell whether there might be a trial, if somebody had the lease."""
        return now >= until and not self._taken and self.wait(now, until) is not None

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
        moved = self._sending != self._seen
        field, now = f"break:{self.key}", self._sent_at
        if isinstance(state, Open):
            left = state.until - now
            if moved:
                self._number += 1
                self._asked = now
            elif not (self._missing and left > 0):
                return []
            notice = Notice.opened(state.reason, health.breaker.failed_trials, me, self._number)
            # The store has forgotten it: told again, unless another was quicker.
            write = put if moved else claim
            return [write(field, dump(notice), min(left, LONGEST_BREAK) + KEEP)]
        if moved and self._seen is not None and not isinstance(state, HalfOpen):
            self._number += 1
            return [put(field, dump(Notice("closed", "", 0, me, self._number)), KEEP)]
        return []

    def _trial(self, state: Any, me: str) -> list[Errand]:
        """Claim, prolong or leave the lease for trials.

        While a trial is on the wire it is kept, even if the circuit has been told to stay open.
        """
        now, lease = self._sent_at, f"trial:{self.key}"
        until = state.until if isinstance(state, Open) else now
        due = isinstance(state, Open | HalfOpen) and until - now <= AHEAD
        if not due:
            self._called, self._keep = False, FRESH
        holding, silence = now < self._leased_until, now - self._asked
        if isinstance(state, HalfOpen):
            self._tried = state
        trying = self._tried is not None and self._tried.trying(now)
        kept = silence <= (self._keep if holding else FRESH) and (holding or now < until)
        self._claiming = self._called
        self.in_haste = due and (holding or silence <= FRESH)
        if trying or (due and (self._called or kept)):
            return [(put if self._squatted else claim)(lease, me, LEASE)]
        self._leased_until = -math.inf
        return [drop(lease, me)] if holding else []

    def _suspicion(self, health: Health, me: str) -> list[Errand]:
        """Tell people that calls go elsewhere; each process suspects by itself."""
        if not health.breaker.suspected:
            return []
        notice = Notice("closed", "suspected", 0, me, self._number)
        return [put(f"doubt:{self.key}", dump(notice), SUSPICION)]

    def _retirement(self, health: Health) -> list[Errand]:
        """Tell what this process was told itself: what others have said, they say again."""
        end = Retirement.of(health.lifecycle.own)
        if end is None or (end == self._told and self._end_stands):
            return []
        self._told = end
        return [put(f"end:{self.key}", dump(end), END_STANDS)]

    def take(self, health: Health, entries: Mapping[str, Entry], me: str) -> None:
        """Take over what stands on the board."""
        self._seen, self._heard = self._sending, self._sent_at
        self._take_break(health, entries.get(f"break:{self.key}"), me)
        lease = entries.get(f"trial:{self.key}")
        mine = lease is not None and lease.value == me
        # Nobody of ours holds a lease for so long.
        self._squatted = lease is not None and not mine and lease.left > LEASE + REFRESH
        # Counted from before the exchange, so that it ends here before it ends at the store.
        self._leased_until = self._sent_at + lease.left if mine and lease else -math.inf
        self._taken = lease is not None and not mine and not self._squatted
        if self._claiming:
            self._answer(mine)
        self._take_retirement(health, entries.get(f"end:{self.key}"))

    def _answer(self, mine: bool) -> None:
        """Tell the call that waits for the lease, if it still does: it is ours or another's."""
        self._called = False
        if self._turn is not None and not self._turn.over:
            self._turn.settle()
        elif mine:
            self._keep *= LONGER

    def _take_break(self, health: Health, entry: Entry | None, me: str) -> None:
        breaker = health.breaker
        self._missing = entry is None
        notice = read(Notice, f"break:{self.key}", entry)
        if entry is None or notice is None or notice.by == me:
            return
        if (notice.by, notice.number) == self._last or _mark(breaker.state) != self._seen:
            return  # known; or there is news of our own, which goes out first
        self._last = (notice.by, notice.number)
        if notice.state == "closed":
            breaker.learn_closed()
        else:
            left = min(entry.left - KEEP, _longest(breaker, notice.reason))
            breaker.learn_open(notice.reason, left, notice.failed_trials)
        self._seen = _mark(breaker.state)

    def _take_retirement(self, health: Health, entry: Entry | None) -> None:
        end = read(Retirement, f"end:{self.key}", entry)
        health.lifecycle.hear(None if end is None else end.notice())
        left = 0.0 if entry is None else min(entry.left, END_STANDS)
        self._end_lapses = self._heard + left
        self._end_stands = left > END_STANDS / 2  # else who knows of it says it again

    def miss(self, health: Health) -> None:
        """Forget, without a board, what stood there for as long as it would have stood."""
        if self._clock() >= self._end_lapses:
            health.lifecycle.hear(None)


def _longest(breaker: Breaker, reason: str) -> float:
    """Return the seconds of a break that are believed to another process."""
    known = {fault.value: rule.break_for or 0.0 for fault, rule in RULES.items()}
    return min(LONGEST_BREAK, max(breaker.policy.max_break, known.get(reason, 0.0)))


def _mark(state: Any) -> tuple[Any, float]:
    """Return what tells a breaker's state from an earlier one: itself, and its break's end."""
    return state, state.until if isinstance(state, Open) else 0.0
