"""Any order of events: the breaker against a simple model of what it promises."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pilotlight.core.breaker.breaker import Breaker, BreakerPolicy, Permit
from pilotlight.core.breaker.policy import CALLS_FAILED
from pilotlight.errors import CircuitOpen
from pilotlight.testing import FakeClock

RESET, WINDOW = 16.0, 20.0  # whole numbers: the model's arithmetic is then exact
LEGAL = {
    ("closed", "open"), ("open", "half-open"), ("half-open", "open"), ("half-open", "closed"),
}  # fmt: skip


class Out:
    """A permit that is out, as the model sees it."""

    def __init__(self, permit: Permit, epoch: int, until: float) -> None:
        self.permit = permit
        self.began = permit.began
        self.epoch = epoch  # how often the circuit had moved when it was given
        self.until = until  # end of its lease


class BreakerMachine(RuleBasedStateMachine):
    """The model keeps a plain list of outcomes and a number that grows with each move."""

    @initialize(
        trials=st.integers(1, 3), minimum=st.integers(1, 4), slow=st.sampled_from([None, 5.0]),
        row=st.integers(1, 5),
    )  # fmt: skip
    def start(self, trials: int, minimum: int, slow: float | None, row: int) -> None:
        self.clock = FakeClock()
        self.policy = BreakerPolicy(
            failure_rate=0.5, minimum_calls=minimum, window=WINDOW, reset_timeout=RESET,
            max_reset_timeout=4 * RESET, trial_calls=trials, slow_call_duration=slow, slow_call_rate=0.5,
            consecutive_failures=row,
        )  # fmt: skip
        self.breaker = Breaker("gpt", self.policy, clock=self.clock, chance=lambda: 0.0)
        self.out: list[Out] = []
        self.now = "closed"
        self.epoch = 0
        self.seen: list[tuple[float, bool, bool]] = []
        self.until = 0.0
        self.reason = ""
        self.resort: Out | None = None
        self.good_trials = 0
        self.in_place: list[Out] = []
        self.lease_ends = 0.0
        self.late = 0.0  # seconds for which the trial had waited for a call
        self.dear = 0  # failures in a row that opened it and made a caller wait

    # The model.

    def move(self, state: str) -> None:
        assert (self.now, state) in LEGAL or (self.now, state) == ("open", "open")
        self.late = max(0.0, self.clock() - self.until) if state == "half-open" else 0.0
        self.now = state
        self.epoch += 1
        self.seen, self.in_place, self.good_trials, self.lease_ends = [], [], 0, 0.0
        self.resort = None
        if state == "closed":
            self.dear = 0

    def give_back(self, one: Out) -> None:
        if one in self.in_place:
            self.in_place.remove(one)
        if one is self.resort:
            self.resort = None

    def open_for(
        self, seconds: float | None, reason: str = "failure_rate", cost: float = 0.0
    ) -> None:
        if seconds is None:
            dear = 16 * cost > RESET
            seconds = min(16 * cost * 2**self.dear if dear else RESET, 4 * RESET)
            seconds = max(seconds - cost - (0.0 if dear else self.late), seconds / 2)
            self.dear = self.dear + 1 if dear else 0
        self.move("open")
        self.until, self.reason = self.clock() + seconds, reason

    def wait(self) -> float | None:
        """Seconds that the model would have a caller wait; None: it lets one in."""
        if self.now == "open" and self.clock() < self.until:
            return self.until - self.clock()
        if self.now == "half-open":
            full = len(self.in_place) + self.good_trials >= self.policy.trial_calls
            if full and self.clock() < self.lease_ends:
                return self.lease_ends - self.clock()
        return None

    def counted(self) -> list[tuple[float, bool, bool]]:
        piece = WINDOW / 10
        oldest = self.clock() // piece - 10
        return [each for each in self.seen if each[0] // piece > oldest]

    # What may happen.

    @rule(lease=st.sampled_from([0.0, 8.0, 40.0]))
    def acquire(self, lease: float) -> None:
        expected, asked = self.wait(), self.breaker.retry_after
        assert asked == expected
        try:
            permit = self.breaker.acquire(lease)
        except CircuitOpen as refused:
            assert expected is not None
            assert refused.retry_after == (None if expected == math.inf else expected)
            return
        assert expected is None
        if self.now == "open":
            self.move("half-open")
        until = self.clock() + max(lease, RESET)
        one = Out(permit, self.epoch, until)
        self.out.append(one)
        assert permit.trial == (self.now == "half-open")
        if self.now == "half-open":
            if len(self.in_place) + self.good_trials >= self.policy.trial_calls:
                self.in_place.clear()
            self.in_place.append(one)
            self.lease_ends = max(self.lease_ends, until)

    @rule(lease=st.sampled_from([0.0, 40.0]))
    def last_resort(self, lease: float) -> None:
        refused = self.wait() is not None
        if not refused:
            return self.acquire(lease)
        permit = self.breaker.last_resort(lease)
        free = self.resort is None or self.clock() >= self.resort.until
        given = self.now == "open" and self.reason in CALLS_FAILED | {"health_check"} and free
        assert (permit is not None) == given
        if permit is not None:
            assert permit.state == "open"
            self.resort = Out(permit, self.epoch, self.clock() + max(lease, RESET))
            self.out.append(self.resort)
        return None

    @precondition(lambda self: self.out)
    @rule(data=st.data(), how=st.sampled_from(["success", "slow", "failure", "release"]))
    def settle(self, data, how: str) -> None:
        one = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        if how == "slow":
            one.permit.success(6.0)
        else:
            getattr(one.permit, how)()
        if one.epoch != self.epoch:
            return
        self.give_back(one)
        if how == "release":
            return
        slow = how == "slow" and self.policy.slow_call_duration is not None
        cost = 6.0 if slow else self.clock() - one.began
        if self.now == "open":
            if how == "failure" or slow:
                return
            self.move("half-open")
        if self.now == "half-open":
            self.good_trials += 1
            if how == "failure" or slow:
                self.open_for(None, "slow_call_rate" if slow else "trial_failed", cost)
            elif self.good_trials >= self.policy.trial_calls:
                self.move("closed")
            return
        self.seen.append((self.clock(), how == "failure", slow))
        counted = self.counted()
        failed, slept = sum(each[1] for each in counted), sum(each[2] for each in counted)
        enough = len(counted) >= self.policy.minimum_calls
        row = self.policy.consecutive_failures
        if (enough and how == "failure" and failed >= len(counted) / 2) or (
            (enough and slow and slept >= len(counted) / 2)
            or (len(counted) >= row and all(each[1] for each in counted[-row:]))
        ):
            self.open_for(None, cost=cost)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), seconds=st.sampled_from([None, 0.0, 3.0, math.inf]))
    def trip_by_permit(self, data, seconds: float | None) -> None:
        one = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        one.permit.trip("rate_limited", seconds)
        if one.epoch == self.epoch:
            self.open_for(seconds, "rate_limited", self.clock() - one.began)

    @rule(seconds=st.sampled_from([None, 2.0]))
    def trip_from_outside(self, seconds: float | None) -> None:
        self.breaker.trip("health_check", seconds)
        self.late = 0.0
        self.open_for(seconds, "health_check")

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def settle_twice(self, data) -> None:
        one = data.draw(st.sampled_from(self.out))
        self.out.remove(one)
        one.permit.release()
        self.give_back(one)
        one.permit.failure(OSError())
        one.permit.trip("again", 99.0)
        one.permit.success()

    @rule(seconds=st.sampled_from([1.0, 4.0, 16.0, 50.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # What holds at any moment.

    @invariant()
    def is_in_the_models_state(self) -> None:
        assert self.breaker.current_state == self.now
        assert self.breaker.state.name == self.now

    @invariant()
    def counts_what_the_model_counts(self) -> None:
        if self.now != "closed":
            return
        window, counted = self.breaker.state.window, self.counted()
        window.forget(self.clock())
        expected = (len(counted), sum(e[1] for e in counted), sum(e[2] for e in counted))
        assert (window.calls, window.failures, window.slow) == expected

    @invariant()
    def never_two_last_resorts(self) -> None:
        out = [o for o in self.out if o.permit.state == "open" and o.epoch == self.epoch]
        assert len([o for o in out if self.clock() < o.until]) <= 1

    @invariant()
    def never_more_trials_than_places(self) -> None:
        trials = [o for o in self.out if o.permit.trial and o.epoch == self.epoch]
        within_lease = [o for o in trials if self.clock() < o.until]
        assert len(within_lease) <= self.policy.trial_calls

    def teardown(self) -> None:
        """When everybody has come home, the circuit can close: no place has leaked."""
        if not hasattr(self, "clock"):
            return
        for one in self.out:
            one.permit.release()
        if self.now == "open":
            self.breaker.trip("drill", 0.0)  # also after a break without end
        if self.now != "closed":
            for _ in range(self.policy.trial_calls - self.good_trials):
                self.breaker.acquire().success()
        assert self.breaker.current_state == "closed"
        assert not self.breaker.acquire().trial


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(
    max_examples=settings().max_examples * 3 // 2, stateful_step_count=40, deadline=None
)
