"""The parts of a circuit breaker: its numbers, its permits and its three states.

Each state owns only its data: `Closed` a window of outcomes, `Open` the moment it
ends, `HalfOpen` the places for trial calls.  Every method is called with the
breaker's lock held; `core/breaker.py` is the breaker itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

import pybreaker

from pilotlight.core.window import Window

if TYPE_CHECKING:
    from pilotlight.core.breaker import Breaker

HEALTH_CHECK: Final = "health_check"
WORN: Final = frozenset({"failure_rate", "consecutive_failures", "slow_call_rate", "trial_failed"})
"""Breaks after calls that failed: another call may find that it is over."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens and for how long; times in seconds, rates from 0 to 1.

    It opens when such a share of the window's calls has failed, of `minimum_calls` at least, or
    when the window's last `consecutive_failures` have, whatever their share: a busy window is
    full of successes that say nothing of the provider now.  At a failure rate of 30 % one call
    in 400 sees five in a row by chance.  Source of the five: Envoy's `consecutive_5xx`.
    `slow_call` is the duration from which a success counts as slow (None: never).
    A break lasts `reset_timeout`, doubled for each failed trial up to `max_break`; a slow
    trial is a failed one.
    """

    failure_rate: float = 0.5
    minimum_calls: int = 5
    window: float = 30.0
    reset_timeout: float = 15.0
    max_break: float = 300.0
    trial_calls: int = 1
    slow_call: float | None = None
    slow_call_rate: float = 0.8
    consecutive_failures: int = 5

    def slow(self, duration: float) -> bool:
        """Tell whether a success that took so many seconds counts as slow."""
        return self.slow_call is not None and duration >= self.slow_call


class Leave(Protocol):
    """Who has a say in trials besides the break's own end: the other processes."""

    def wait(self, now: float, until: float) -> float | None:
        """Return the seconds until a trial may begin, None for now; `until` is the break's end.

        Called with the breaker's lock held, by whoever looks: it never waits, changes nothing.
        """

    def asked(self, now: float, until: float) -> None:
        """Note that a call has met an open circuit: there is demand for a trial here."""


class Permit:
    """Leave for one call.  Settling it a second time does nothing."""

    __slots__ = ("_breaker", "_settled", "_state", "moved", "trial")

    def __init__(self, breaker: Breaker, state: Rules) -> None:
        self._breaker = breaker
        self._state = state
        self._settled = False
        self.trial = isinstance(state, HalfOpen)
        self.moved = False  # whether its verdict has opened or closed the circuit

    @property
    def state(self) -> str:
        """The state that admitted the call: `closed`, `half-open`, or `open` for a last resort."""
        return self._state.name

    def success(self, duration: float = 0.0) -> None:
        """The provider answered, after `duration` seconds."""
        breaker = self._breaker
        with breaker._guard:
            if (state := breaker._hand_in(self)) is not None:
                breaker._note_success()
                state.on_success(duration)
                self.moved = breaker._rules is not state

    def failure(self, error: BaseException | None = None) -> None:
        """The provider failed; an excluded error still counts as a success."""
        breaker = self._breaker
        if error is not None and not breaker.is_system_error(error):
            self.success()
            return
        with breaker._guard:
            if (state := breaker._hand_in(self)) is not None:
                breaker._note_failure(error or RuntimeError("failed"))
                state.on_failed()
                self.moved = breaker._rules is not state

    def trip(self, reason: str, seconds: float | None = None) -> bool:
        """Open the circuit for a reason and a time; None: the usual, growing break.

        Returns whether this permit opened it: False when it was out of date.
        """
        breaker = self._breaker
        with breaker._guard:
            if breaker._hand_in(self) is None:
                return False
            breaker._note_failure(RuntimeError(reason))
            breaker._open(reason, seconds)
            self.moved = True
            return True

    def release(self) -> None:
        """Give the permit back uncounted: cancelled, abandoned, or no fault of the provider."""
        if not self._settled:
            with self._breaker._guard:
                self._breaker._hand_in(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.success()
        elif isinstance(error, Exception):
            self.failure(error)
        else:  # cancelled, Ctrl-C, an abandoned generator: no verdict on the provider
            self.release()


class Rules:
    """What every state answers; each method is called with the breaker's lock held."""

    _breaker: Any  # the Breaker; pybreaker's states declare the attribute with its own class
    name: str  # pybreaker's
    learned: bool = False  # whether another process's word led to this state

    def refusal(self, now: float) -> float | None:
        """Return None to admit a call, or the seconds to wait before asking again."""
        return None

    def wanted(self, now: float) -> None:
        """Note that a call would like to be admitted."""

    def admitted(self, permit: Permit, lease: float) -> None:
        """Note a permit just issued; a trial's place is kept for `lease` seconds."""

    def returned(self, permit: Permit) -> None:
        """Note that a permit is settled; its verdict follows."""

    def on_success(self, duration: float = 0.0) -> None:
        """Note that a call went well."""

    def on_failed(self) -> None:
        """Note that a call failed."""


class Closed(Rules, pybreaker.CircuitClosedState):
    """Admits every call and watches the failure rate and the slow-call rate."""

    def __init__(self, cb: Breaker, prev_state: Any = None, notify: bool = False) -> None:
        super().__init__(cb, prev_state, notify)
        self.window = Window(cb.policy.window)

    def on_success(self, duration: float = 0.0) -> None:
        policy, now = self._breaker.policy, self._breaker.clock()
        slow = policy.slow(duration)
        self.window.add(now, slow=slow)
        if slow and self._reached(self.window.slow, policy.slow_call_rate):
            self._breaker._open("slow_call_rate", None)

    def on_failed(self) -> None:
        self.window.add(self._breaker.clock(), failed=True)
        policy: BreakerPolicy = self._breaker.policy
        if self._reached(self.window.failures, policy.failure_rate):
            self._breaker._open("failure_rate", None)
        elif self.window.in_a_row >= policy.consecutive_failures:
            self._breaker._open("consecutive_failures", None)

    def _reached(self, count: int, rate: float) -> bool:
        calls = self.window.calls
        return bool(calls >= self._breaker.policy.minimum_calls and count >= rate * calls)

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
        self.until = cb.clock() + cb._next_break
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

    def wait(self, now: float) -> float | None:
        """Return the seconds until a trial may begin; None: now."""
        if self._breaker.leave is not None:
            return cast("Leave", self._breaker.leave).wait(now, self.until)
        return self.until - now if now < self.until else None

    def wanted(self, now: float) -> None:
        if self._breaker.leave is not None:
            self._breaker.leave.asked(now, self.until)

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

    def __init__(self, cb: Breaker, prev_state: Any = None, notify: bool = False) -> None:
        super().__init__(cb, prev_state, notify)
        self.reason = cb._next_reason
        self.places: set[Permit] = set()
        self.successes = 0
        self.lease_ends = 0.0

    def full(self, now: float) -> float | None:
        """Return the seconds until a place may be free, None when one is."""
        if len(self.places) + self.successes >= self._breaker.policy.trial_calls:
            if now < self.lease_ends:
                return self.lease_ends - now
            self.places.clear()  # never settled: do not wait for them
        return None

    def refusal(self, now: float) -> float | None:
        if (wait := self.full(now)) is not None:
            return wait
        leave: Leave | None = self._breaker.leave
        return None if leave is None else leave.wait(now, now)

    def wanted(self, now: float) -> None:
        if self._breaker.leave is not None and self.full(now) is None:
            self._breaker.leave.asked(now, now)

    def admitted(self, permit: Permit, lease: float) -> None:
        self.places.add(permit)
        lease = max(lease, self._breaker.policy.reset_timeout)
        self.lease_ends = max(self.lease_ends, self._breaker.clock() + lease)

    def returned(self, permit: Permit) -> None:
        self.places.discard(permit)

    def on_success(self, duration: float = 0.0) -> None:
        if self._breaker.policy.slow(duration):
            self._breaker._open("slow_call_rate", None)
            return
        self.successes += 1
        if self.successes >= self._breaker.policy.trial_calls:
            self._breaker.close()

    def on_failed(self) -> None:
        self._breaker._open("trial_failed", None)
