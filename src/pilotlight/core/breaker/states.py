"""The three states of a circuit breaker, each with the data that only it has.

`Closed` has a window of outcomes, `Open` the moment it ends, `HalfOpen` the places for trial
calls.  They are told the moment and the numbers in force, change nothing but themselves, and
return the `Transition` that follows, if one does; `core/breaker/breaker.py` carries it out.
Every method is called with the breaker's lock held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import pybreaker

from pilotlight.core.breaker.permit import Permit
from pilotlight.core.breaker.policy import CALLS_FAILED, HEALTH_CHECK, BreakerPolicy
from pilotlight.core.breaker.suspicion import Suspicion
from pilotlight.core.breaker.turn import Turn
from pilotlight.core.breaker.window import Window

StateName = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Transition:
    """The state that comes next, and why.

    `seconds` is how long an open circuit stays so; None: the usual break after a failure that
    took `cost` seconds.  `repeat`: the next state is told of the same success.
    """

    to: StateName
    reason: str = ""
    seconds: float | None = None
    cost: float = 0.0
    repeat: bool = False


class TrialGate(Protocol):
    """Who has a say in trials besides the break's own end: the other processes."""

    def wait(self, now: float, until: float) -> float | None:
        """Return the seconds until a trial may begin, None for now; `until` is the break's end.

        Called with the breaker's lock held, by whoever looks: it never waits, changes nothing.
        """

    def asked(self, now: float, until: float) -> None:
        """Note that a call has met an open circuit: there is demand for a trial here."""

    def turn(self, now: float, until: float) -> Turn | None:
        """Return what a call may wait for a moment that wants the trial; None: not worth it."""


class CircuitState:
    """What every state answers; unless it says otherwise, that calls may come."""

    name: StateName
    trial: ClassVar[bool] = False  # whether its permits are for trials
    learned: bool = False  # whether another process's word led to this state
    reason: str = ""  # why the circuit is not closed
    overdue: float = 0.0  # seconds for which a trial has waited for a call

    def due(self, now: float, gate: TrialGate | None) -> Transition | None:
        """Return what the mere passing of time has brought about, when a call comes."""
        return None

    def refusal(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> float | None:
        """Return None to admit a call, or the seconds to wait before asking again."""
        return None

    def wanted(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> None:
        """Tell the gate that a call would like to be admitted."""

    def turn(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> Turn | None:
        """Return what a call that was refused may wait for; None: nothing but time."""
        return None

    def suspected(self, now: float, policy: BreakerPolicy) -> bool:
        """Tell whether another call would be one too many (`core/breaker/suspicion.py`)."""
        return False

    def overruled(self, now: float, policy: BreakerPolicy) -> bool:
        """Tell whether one call may go to a suspected target all the same, to find out."""
        return False

    def admitted(self, permit: Permit, now: float, policy: BreakerPolicy, lease: float) -> None:
        """Note a permit just issued; a trial's place is kept for `lease` seconds."""

    def returned(self, permit: Permit) -> None:
        """Note that a permit is settled; its verdict follows."""

    def heard(self, permit: Permit, now: float) -> None:
        """Note that a call has had its first token."""

    def succeeded(self, now: float, policy: BreakerPolicy, duration: float) -> Transition | None:
        """Note that a call went well, after `duration` seconds."""
        return None

    def failed(self, now: float, policy: BreakerPolicy, cost: float) -> Transition | None:
        """Note that a call failed, after `cost` seconds."""
        return None

    def forked(self, now: float) -> None:
        """In a child: take back what the parent's calls hold."""


class Closed(CircuitState, pybreaker.CircuitClosedState):
    """Admits every call and watches the failure rate and the slow-call rate."""

    name = "closed"

    def __init__(self, now: float, window: float) -> None:
        self.window = Window(window)
        self.suspicion = Suspicion(now)

    def admitted(self, permit: Permit, now: float, policy: BreakerPolicy, lease: float) -> None:
        self.suspicion.admitted(permit)

    def returned(self, permit: Permit) -> None:
        self.suspicion.heard(permit)

    def heard(self, permit: Permit, now: float) -> None:
        self.suspicion.heard(permit)
        self.suspicion.cleared(now)

    def succeeded(self, now: float, policy: BreakerPolicy, duration: float) -> Transition | None:
        slow = policy.slow(duration)
        self.window.add(now, slow=slow)
        self.suspicion.cleared(now)
        if slow and self._reached(self.window.slow, policy.slow_call_rate, policy):
            return Transition("open", "slow_call_rate", cost=duration)
        return None

    def failed(self, now: float, policy: BreakerPolicy, cost: float) -> Transition | None:
        self.window.add(now, failed=True)
        self.suspicion.failed()
        if self._reached(self.window.failures, policy.failure_rate, policy):
            return Transition("open", "failure_rate", cost=cost)
        if self.window.in_a_row >= policy.consecutive_failures:
            return Transition("open", "consecutive_failures", cost=cost)
        return None

    def forked(self, now: float) -> None:
        self.window.recount()
        self.suspicion = Suspicion(now)

    def _reached(self, count: int, rate: float, policy: BreakerPolicy) -> bool:
        calls = self.window.calls
        return calls >= policy.minimum_calls and count >= rate * calls

    def suspected(self, now: float, policy: BreakerPolicy) -> bool:
        """Tell whether another call would only find out what those in flight find out."""
        if not self.suspicion.awake(now) or not policy.suspicion:
            return False
        self.window.forget(now)
        return self.suspicion.full(now, self.window, self._missing(policy))

    def overruled(self, now: float, policy: BreakerPolicy) -> bool:
        return self.suspicion.overruled(now, policy.max_reset_timeout)

    def _missing(self, policy: BreakerPolicy) -> int:
        """Return how many failures more would open it, at least one."""
        calls, failures, rate = self.window.calls, self.window.failures, policy.failure_rate
        in_a_row = policy.consecutive_failures - self.window.in_a_row
        if rate == 1.0 and failures < calls:
            return max(1, in_a_row)
        share = 0.0 if rate == 1.0 else (rate * calls - failures) / (1 - rate)
        by_rate = max(policy.minimum_calls - calls, math.ceil(round(share, 6)))
        return max(1, min(in_a_row, by_rate))

    def strain(self, now: float, policy: BreakerPolicy) -> float:
        """Return how near the trip is, from 0 (no failures) to 1."""
        self.window.forget(now)
        calls = max(self.window.calls, policy.minimum_calls)
        rate = self.window.failures / (policy.failure_rate * calls)
        return min(1.0, max(rate, self.window.in_a_row / policy.consecutive_failures))


class Open(CircuitState, pybreaker.CircuitOpenState):
    """Refuses every call until its time is up; but for one at a time that has nowhere else to go.

    Such a last resort has the place for as long as it may take.  It closes the circuit if it
    goes well, and changes nothing if it fails.
    """

    name = "open"

    def __init__(self, now: float, seconds: float, reason: str) -> None:
        self.began = now
        self.until = now + seconds
        self.reason = reason
        self.resort: Permit | None = None
        self.resort_ends = 0.0

    def admits_last_resort(self, now: float) -> bool:
        """Tell whether a last resort may be tried: if calls opened it, and no other is at it."""
        free = self.resort is None or now >= self.resort_ends
        return free and (self.reason in CALLS_FAILED or self.reason == HEALTH_CHECK)

    def admitted(self, permit: Permit, now: float, policy: BreakerPolicy, lease: float) -> None:
        self.resort = permit
        self.resort_ends = now + max(lease, policy.reset_timeout)

    def returned(self, permit: Permit) -> None:
        if self.resort is permit:
            self.resort = None

    def succeeded(self, now: float, policy: BreakerPolicy, duration: float) -> Transition | None:
        return None if policy.slow(duration) else Transition("half-open", repeat=True)

    def forked(self, now: float) -> None:
        self.resort = None

    def wait(self, now: float, gate: TrialGate | None) -> float | None:
        """Return the seconds until a trial may begin; None: now."""
        if gate is not None:
            return gate.wait(now, self.until)
        return self.until - now if now < self.until else None

    def due(self, now: float, gate: TrialGate | None) -> Transition | None:
        return Transition("half-open") if self.wait(now, gate) is None else None

    def wanted(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> None:
        if gate is not None:
            gate.asked(now, self.until)

    def turn(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> Turn | None:
        return None if gate is None else gate.turn(now, self.until)

    def refusal(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> float | None:
        return self.wait(now, gate)


class HalfOpen(CircuitState, pybreaker.CircuitHalfOpenState):
    """Admits a few trial calls; all must succeed in time, and one failure opens again.

    A place is leased for the time the trial may take: a trial that was lost (a
    stream dropped, a thread killed) can't wedge the circuit.  A trial that
    outlives its lease loses its place but keeps its say.
    """

    name = "half-open"
    trial = True

    def __init__(self, reason: str, overdue: float = 0.0) -> None:
        self.reason = reason
        self.overdue = overdue
        self.places: set[Permit] = set()
        self.successes = 0
        self.lease_ends = 0.0

    def trying(self, now: float) -> bool:
        """Tell whether a trial is on the wire, as far as is known."""
        return bool(self.places) and now < self.lease_ends

    def full(self, now: float, policy: BreakerPolicy) -> float | None:
        """Return the seconds until a place may be free, None when one is."""
        if len(self.places) + self.successes >= policy.trial_calls:
            return self.lease_ends - now if now < self.lease_ends else None
        return None

    def refusal(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> float | None:
        if (wait := self.full(now, policy)) is not None:
            return wait
        return None if gate is None else gate.wait(now, now)

    def wanted(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> None:
        if gate is not None and self.full(now, policy) is None:
            gate.asked(now, now)

    def turn(self, now: float, policy: BreakerPolicy, gate: TrialGate | None) -> Turn | None:
        if gate is None or self.full(now, policy) is not None:
            return None
        return gate.turn(now, now)

    def admitted(self, permit: Permit, now: float, policy: BreakerPolicy, lease: float) -> None:
        if len(self.places) + self.successes >= policy.trial_calls:
            self.places.clear()  # never settled: do not wait for them
        self.places.add(permit)
        self.lease_ends = max(self.lease_ends, now + max(lease, policy.reset_timeout))

    def returned(self, permit: Permit) -> None:
        self.places.discard(permit)

    def succeeded(self, now: float, policy: BreakerPolicy, duration: float) -> Transition | None:
        if policy.slow(duration):
            return Transition("open", "slow_call_rate", cost=duration)
        self.successes += 1
        done = self.successes >= policy.trial_calls
        return Transition("closed", "trial_succeeded") if done else None

    def failed(self, now: float, policy: BreakerPolicy, cost: float) -> Transition | None:
        return Transition("open", "trial_failed", cost=cost)

    def forked(self, now: float) -> None:
        self.places.clear()
        self.lease_ends = 0.0
