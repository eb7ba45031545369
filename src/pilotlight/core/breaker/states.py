"""The three states of a circuit breaker.

Each state owns only its data: `Closed` a window of outcomes, `Open` the moment it
ends, `HalfOpen` the places for trial calls.  Every method is called with the
breaker's lock held; `core/breaker/breaker.py` is the breaker itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol, cast

import pybreaker

from pilotlight.core.breaker.policy import HEALTH_CHECK, WORN, BreakerPolicy
from pilotlight.core.breaker.suspicion import Suspicion
from pilotlight.core.breaker.window import Window

if TYPE_CHECKING:
    from pilotlight.core.breaker.breaker import Breaker
    from pilotlight.core.breaker.permit import Permit
    from pilotlight.core.breaker.turn import Turn


class Leave(Protocol):
    """Who has a say in trials besides the break's own end: the other processes."""

    def wait(self, now: float, until: float) -> float | None:
        """Return the seconds until a trial may begin, None for now; `until` is the break's end.

        Called with the breaker's lock held, by whoever looks: it never waits, changes nothing.
        """

    def asked(self, now: float, until: float) -> None:
        """Note that a call has met an open circuit: there is demand for a trial here."""

    def turn(self, now: float, until: float) -> Turn | None:
        """Return what a call may wait for a moment that wants the trial; None: not worth it."""


class Rules:
    """What every state answers; each method is called with the breaker's lock held."""

    _breaker: Any  # the Breaker; pybreaker's states declare the attribute with its own class
    name: str  # pybreaker's
    trial: bool = False  # whether its permits are for trials
    learned: bool = False  # whether another process's word led to this state

    def refusal(self, now: float) -> float | None:
        """Return None to admit a call, or the seconds to wait before asking again."""
        return None

    def wanted(self, now: float) -> None:
        """Note that a call would like to be admitted."""

    def turn(self, now: float) -> Turn | None:
        """Return what a call that was refused may wait for; None: nothing but time."""
        return None

    def suspected(self, now: float) -> bool:
        """Tell whether another call would be one too many (`core/breaker/suspicion.py`)."""
        return False

    def overruled(self, now: float) -> bool:
        """Tell whether one call may go to a suspected target all the same, to find out."""
        return False

    def admitted(self, permit: Permit, lease: float) -> None:
        """Note a permit just issued; a trial's place is kept for `lease` seconds."""

    def returned(self, permit: Permit) -> None:
        """Note that a permit is settled; its verdict follows."""

    def on_heard(self, permit: Permit, now: float) -> None:
        """Note that a call has had its first token."""

    def on_success(self, duration: float = 0.0) -> None:
        """Note that a call went well."""

    def on_failed(self, cost: float) -> None:
        """Note that a call failed, after `cost` seconds."""

    def forked(self) -> None:
        """In a child: take back what the parent's calls hold."""


class Closed(Rules, pybreaker.CircuitClosedState):
    """Admits every call and watches the failure rate and the slow-call rate."""

    def __init__(self, cb: Breaker, prev_state: Any = None, notify: bool = False) -> None:
        super().__init__(cb, prev_state, notify)
        self.window = Window(cb.policy.window)
        self.suspicion = Suspicion(cb.clock())

    def admitted(self, permit: Permit, lease: float) -> None:
        self.suspicion.admitted(permit)

    def returned(self, permit: Permit) -> None:
        self.suspicion.heard(permit)

    def on_heard(self, permit: Permit, now: float) -> None:
        self.suspicion.heard(permit)
        self.suspicion.cleared(now)

    def on_success(self, duration: float = 0.0) -> None:
        policy, now = self._breaker.policy, self._breaker.clock()
        slow = policy.slow(duration)
        self.window.add(now, slow=slow)
        self.suspicion.cleared(now)
        if slow and self._reached(self.window.slow, policy.slow_call_rate):
            self._breaker._open("slow_call_rate", None, duration)

    def on_failed(self, cost: float) -> None:
        self.window.add(self._breaker.clock(), failed=True)
        self.suspicion.failed()
        policy: BreakerPolicy = self._breaker.policy
        if self._reached(self.window.failures, policy.failure_rate):
            self._breaker._open("failure_rate", None, cost)
        elif self.window.in_a_row >= policy.consecutive_failures:
            self._breaker._open("consecutive_failures", None, cost)

    def forked(self) -> None:
        self.window.recount()
        self.suspicion = Suspicion(self._breaker.clock())

    def _reached(self, count: int, rate: float) -> bool:
        calls = self.window.calls
        return bool(calls >= self._breaker.policy.minimum_calls and count >= rate * calls)

    def suspected(self, now: float) -> bool:
        """Tell whether another call would only find out what those in flight find out."""
        if not self.suspicion.awake(now) or not self._breaker.policy.suspicion:
            return False
        self.window.forget(now)
        return self.suspicion.full(now, self.window, self._missing())

    def overruled(self, now: float) -> bool:
        return self.suspicion.overruled(now, self._breaker.policy.max_break)

    def _missing(self) -> int:
        """Return how many failures more would open it, at least one."""
        policy: BreakerPolicy = self._breaker.policy
        calls, failures, rate = self.window.calls, self.window.failures, policy.failure_rate
        in_a_row = policy.consecutive_failures - self.window.in_a_row
        if rate == 1.0 and failures < calls:
            return max(1, in_a_row)
        share = 0.0 if rate == 1.0 else (rate * calls - failures) / (1 - rate)
        by_rate = max(policy.minimum_calls - calls, math.ceil(round(share, 6)))
        return max(1, min(in_a_row, by_rate))

    def strain(self, now: float) -> float:
        """Return how near the trip is, from 0 (no failures) to 1."""
        policy: BreakerPolicy = self._breaker.policy
        self.window.forget(now)
        calls = max(self.window.calls, policy.minimum_calls)
        rate = self.window.failures / (policy.failure_rate * calls)
        return min(1.0, max(rate, self.window.in_a_row / policy.consecutive_failures))


class Open(Rules, pybreaker.CircuitOpenState):
    """Refuses every call until its time is up; but for one at a time that has nowhere else to go.

    Such a last resort has the place for as long as it may take.  It closes the circuit if it
    goes well, and changes nothing if it fails.
    """

    def __init__(self, cb: Breaker, prev_state: Any = None, notify: bool = False) -> None:
        super().__init__(cb, prev_state, notify)
        self.began = cb.clock()
        self.until = self.began + cb._next_break
        self.reason = cb._next_reason
        self.resort: Permit | None = None
        self.resort_ends = 0.0

    def desperate(self, now: float) -> bool:
        """Tell whether a last resort may be tried: if calls opened it, and no other is at it."""
        free = self.resort is None or now >= self.resort_ends
        return free and (self.reason in WORN or self.reason == HEALTH_CHECK)

    def admitted(self, permit: Permit, lease: float) -> None:
        self.resort = permit
        self.resort_ends = self._breaker.clock() + max(lease, self._breaker.policy.reset_timeout)

    def returned(self, permit: Permit) -> None:
        if self.resort is permit:
            self.resort = None

    def on_success(self, duration: float = 0.0) -> None:
        if not self._breaker.policy.slow(duration):
            self._breaker.half_open()
            cast("Rules", self._breaker._rules).on_success(duration)

    def forked(self) -> None:
        self.resort = None

    def wait(self, now: float) -> float | None:
        """Return the seconds until a trial may begin; None: now."""
        if self._breaker.leave is not None:
            return cast("Leave", self._breaker.leave).wait(now, self.until)
        return self.until - now if now < self.until else None

    def wanted(self, now: float) -> None:
        if self._breaker.leave is not None:
            self._breaker.leave.asked(now, self.until)

    def turn(self, now: float) -> Turn | None:
        leave: Leave | None = self._breaker.leave
        return None if leave is None else leave.turn(now, self.until)

    def refusal(self, now: float) -> float | None:
        if (wait := self.wait(now)) is not None:
            return wait
        self._breaker.half_open()
        return cast("Rules", self._breaker._rules).refusal(now)


class HalfOpen(Rules, pybreaker.CircuitHalfOpenState):
    """Admits a few trial calls; all must succeed in time, and one failure opens again.

    A place is leased for the time the trial may take: a trial that was lost (a
    stream dropped, a thread killed) can't wedge the circuit.  A trial that
    outlives its lease loses its place but keeps its say.
    """

    trial = True

    def __init__(self, cb: Breaker, prev_state: Any = None, notify: bool = False) -> None:
        super().__init__(cb, prev_state, notify)
        self.reason = cb._next_reason
        self.places: set[Permit] = set()
        self.successes = 0
        self.lease_ends = 0.0

    def full(self, now: float) -> float | None:
        """Return the seconds until a place may be free, None when one is."""
        if len(self.places) + self.successes >= self._breaker.policy.trial_calls:
            return self.lease_ends - now if now < self.lease_ends else None
        return None

    def refusal(self, now: float) -> float | None:
        if (wait := self.full(now)) is not None:
            return wait
        leave: Leave | None = self._breaker.leave
        return None if leave is None else leave.wait(now, now)

    def wanted(self, now: float) -> None:
        if self._breaker.leave is not None and self.full(now) is None:
            self._breaker.leave.asked(now, now)

    def turn(self, now: float) -> Turn | None:
        leave: Leave | None = self._breaker.leave
        return None if leave is None or self.full(now) is not None else leave.turn(now, now)

    def admitted(self, permit: Permit, lease: float) -> None:
        if len(self.places) + self.successes >= self._breaker.policy.trial_calls:
            self.places.clear()  # never settled: do not wait for them
        self.places.add(permit)
        lease = max(lease, self._breaker.policy.reset_timeout)
        self.lease_ends = max(self.lease_ends, self._breaker.clock() + lease)

    def returned(self, permit: Permit) -> None:
        self.places.discard(permit)

    def on_success(self, duration: float = 0.0) -> None:
        if self._breaker.policy.slow(duration):
            self._breaker._open("slow_call_rate", None, duration)
            return
        self.successes += 1
        if self.successes >= self._breaker.policy.trial_calls:
            self._breaker.close()

    def on_failed(self, cost: float) -> None:
        self._breaker._open("trial_failed", None, cost)

    def forked(self) -> None:
        self.places.clear()
        self.lease_ends = 0.0
