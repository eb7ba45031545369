"""A circuit breaker with permits: pybreaker's interface, without its lock around the call.

    permit = breaker.acquire()          # may this call go ahead? or CircuitOpen
    permit.success() | .failure() | .trip() | .release()       # how did it go?

Both are plain methods that never wait, so threads and tasks share one object.

The three states are pure and say which transition follows (`core/breaker/states.py`); it is
carried out here, with the lock held.  A permit remembers the state that issued it; if the
circuit has moved on since, its outcome is ignored.  Listeners are called after the lock has
been let go.

What stays pybreaker's: listeners, storages, `exclude`, `CircuitBreakerError`,
`open() half_open() close()`, `fail_counter`.  What is replaced: its call path,
its clock (one injected monotonic clock), its counting.  That is why the file is a
little long: everything of pybreaker's that has to be kept honest is in one place.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pybreaker

from pilotlight.core.breaker.permit import Permit
from pilotlight.core.breaker.policy import CALLS_FAILED, DEAR, JITTER, BreakerPolicy
from pilotlight.core.breaker.states import (
    CircuitState,
    Closed,
    HalfOpen,
    Open,
    StateName,
    Transition,
    TrialGate,
)
from pilotlight.core.breaker.turn import Turn
from pilotlight.core.breaker.window import Window
from pilotlight.core.fork import GATE
from pilotlight.errors import CircuitOpen, TargetSkipped
from pilotlight.plain import logger

__all__ = ["Breaker", "BreakerPolicy", "Permit", "StateName"]

SUSPECTED: Final = "suspected"  # the reason of a `TargetSkipped`

_log = logger("pilotlight.breaker")


class _Lock:
    """The breaker's RLock; on the way out, tells the listeners what has happened meanwhile.

    An RLock, because garbage collection may finalise an abandoned stream, and so
    release its permit, inside a locked section of the same thread.
    """

    __slots__ = ("_calls", "_depth", "_lock")

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Be free, with nothing to tell."""
        self._lock = threading.RLock()
        self._calls: deque[Callable[[], None]] = deque()
        self._depth = 0

    def later(self, calls: Iterable[Callable[[], None]]) -> None:
        self._calls.extend(calls)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        ready: tuple[Callable[[], None], ...] = ()
        if self._calls and not self._depth:
            ready = tuple(self._calls)
            self._calls.clear()
        self._lock.release()
        for call in ready:
            try:
                call()
            except Exception:
                _log.exception("a breaker listener failed")


observers: list[Callable[[Breaker], None]] = []
"""Who is told of each breaker that counted a failure, changed its state, or turned a call away
under suspicion.

For the background work (health checks, warm-ups): called in the thread of the call,
outside the lock, so they must be quick.  A success costs nothing.
"""


class Breaker(pybreaker.CircuitBreaker):
    """pybreaker's listeners, storages and exclusions; our permits, window and clock."""

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        exclude: Iterable[Any] = (),
        listeners: Iterable[Any] = (),
        state_storage: Any = None,
    ) -> None:
        self.policy = policy or BreakerPolicy()
        self.clock = clock
        self._chance = chance
        self._next_break = self.policy.reset_timeout
        self._next_reason = "failure_rate"
        self._failed_trials = 0
        self.gate: TrialGate | None = None  # who else has a say in trials; None: nobody
        self._learning = False
        self._guard = _Lock()
        super().__init__(
            name=name,
            reset_timeout=self.policy.reset_timeout,
            success_threshold=self.policy.trial_calls,
            exclude=list(exclude),
            listeners=list(listeners),
            state_storage=state_storage,
            throw_new_error_on_trip=False,
        )
        self._lock = self._guard  # type: ignore[assignment]  # every `with self._lock` of pybreaker's is ours now
        # Another process may move a shared storage; plain memory only moves through us.
        self._shared = type(self._state_storage) is not pybreaker.CircuitMemoryStorage
        GATE.inherits(self)

    def forked(self) -> None:
        """In a child: trials under way, and what is still to be told of, are the parent's."""
        self._guard.renew()
        self._rules.forked(self.clock())

    # The two questions.

    def acquire(
        self, lease: float = 0.0, *, patience: float = math.inf, wary: bool = False
    ) -> Permit:
        """Return a permit, or raise CircuitOpen at once.

        `lease` is how long in seconds the call may take: for so long a trial that
        is never settled keeps its place (at least `reset_timeout`).  `patience` is how long
        its silence says nothing.  `wary`: raises TargetSkipped (`suspected`) rather than add to
        the calls at a provider that seems to have died (`core/breaker/suspicion.py`).
        """
        with self._guard:
            now, policy = self.clock(), self.policy
            self._current().wanted(now, policy, self.gate)
            if (wait := self._refusal(now)) is not None:
                raise CircuitOpen(str(self.name), wait, self.reason)
            suspected = wary and self._rules.suspected(now, policy)
            if suspected and not self._rules.overruled(now, policy):
                self._guard.later(partial(each, self) for each in observers)
                raise TargetSkipped(str(self.name), SUSPECTED)
            permit = self._admit(now, lease, patience)
            permit.trial = permit.trial or suspected
            return permit

    def _refusal(self, now: float) -> float | None:
        """Return None to admit a call, or the seconds to wait; expects the lock."""
        if (move := self._rules.due(now, self.gate)) is not None:
            self._move(move)
        return self._rules.refusal(now, self.policy, self.gate)

    def _admit(self, now: float, lease: float = 0.0, patience: float = math.inf) -> Permit:
        """Return a permit of the state as it is now; expects the lock."""
        state = self._rules
        permit = Permit(self, state, now, lease, patience)
        state.admitted(permit, now, self.policy, lease)
        return permit

    # What permits tell (`core/breaker/permit.py`).

    def heard(self, permit: Permit) -> None:
        """Take note that a call has had its first token."""
        with self._guard:
            if not permit.settled and permit.issued_by is self._rules:
                self._rules.heard(permit, self.clock())

    def succeeded(self, permit: Permit, duration: float) -> None:
        """Take the permit of a call that went well."""
        with self._guard:
            if (state := self._settle(permit)) is not None:
                self._note_success()
                now = self.clock()
                while (move := state.succeeded(now, self.policy, duration)) is not None:
                    self._move(move)
                    permit.moved, state = True, self._rules
                    if not move.repeat:
                        break

    def failed(self, permit: Permit, error: BaseException | None, own: float) -> None:
        """Take the permit of a call that failed; an excluded error counts as a success."""
        if error is not None and not self.is_system_error(error):
            self.succeeded(permit, 0.0)
            return
        with self._guard:
            if (state := self._settle(permit)) is not None:
                self._note_failure(error or RuntimeError("failed"))
                now = self.clock()
                cost = _cost(permit, now, own)
                if (move := state.failed(now, self.policy, cost)) is not None:
                    self._move(move)
                    permit.moved = True

    def tripped(self, permit: Permit, reason: str, seconds: float | None, own: float) -> bool:
        """Take a permit and open for this reason; False: it was out of date."""
        with self._guard:
            if self._settle(permit) is None:
                return False
            self._note_failure(RuntimeError(reason))
            self._open(reason, seconds, _cost(permit, self.clock(), own))
            permit.moved = True
            return True

    def released(self, permit: Permit) -> None:
        """Take a permit that counts for nothing."""
        with self._guard:
            self._settle(permit)

    def _settle(self, permit: Permit) -> CircuitState | None:
        """Settle a permit; return the state that listens to its outcome, if any.

        Expects the lock to be held.
        """
        if permit.settled:
            return None
        permit.settled = True
        state = permit.issued_by
        state.returned(permit)
        return self._rules if state is self._rules else None  # an earlier one: no say in this one

    def _note_success(self) -> None:
        """Keep pybreaker's counter true and queue its listeners; expects the lock."""
        if self._state_storage.counter:
            self._state_storage.reset_counter()
        if self._listeners:
            self._guard.later(partial(each.success, self) for each in self.listeners)

    def _note_failure(self, error: BaseException) -> None:
        """Keep pybreaker's counter true and queue its listeners; expects the lock."""
        self._state_storage.increment_counter()
        if self._listeners:
            self._guard.later(partial(each.failure, self, error) for each in self.listeners)
        if observers:
            self._guard.later(partial(each, self) for each in observers)

    # What others may ask.

    @property
    def retry_after(self) -> float | None:
        """Seconds until this breaker may admit a call; None if it would admit one now.

        Asking takes no permit and changes nothing.
        """
        with self._guard:
            return self._current().refusal(self.clock(), self.policy, self.gate)

    def ask(self) -> float | None:
        """As `retry_after`, for a call: a fleet lets him try who has calls."""
        with self._guard:
            self._current().wanted(self.clock(), self.policy, self.gate)
            return self.retry_after

    def turn(self) -> Turn | None:
        """Return what a call that `ask` refused may wait for, a moment only; None: nothing.

        A fleet may give it the trial that nobody else is making.
        """
        with self._guard:
            return self._current().turn(self.clock(), self.policy, self.gate)

    @property
    def reason(self) -> str:
        """Why the circuit is open or half-open; empty when it is closed."""
        return getattr(self._state, "reason", "")

    @property
    def strain(self) -> float:
        """How near the circuit is to opening: 0 all well, 1 open."""
        with self._guard:
            state = self._current()
            return state.strain(self.clock(), self.policy) if isinstance(state, Closed) else 1.0

    @property
    def suspected(self) -> bool:
        """Whether the target seems to have died, and enough calls are finding out."""
        with self._guard:
            return self._current().suspected(self.clock(), self.policy)

    @property
    def doubtful(self) -> bool:
        """Whether its circuit is closed, and its last calls are a reason to watch the next."""
        state = self._rules
        if not isinstance(state, Closed) or not state.suspicion.awake(self.clock()):
            return False  # nearly always, and without the lock
        with self._guard:
            return state.suspicion.founded(self.clock(), state.window)

    @property
    def idle(self) -> bool:
        """Whether the circuit is closed and no call has ended within the window."""
        with self._guard:
            state = self._current()
            if not isinstance(state, Closed):
                return False
            state.window.forget(self.clock())
            return state.window.calls == 0

    def configure(self, policy: BreakerPolicy) -> None:
        """Take new numbers; they hold from the next decision on."""
        with self._guard:
            if policy == self.policy:
                return
            resized = policy.window != self.policy.window
            self.policy = policy
            self._reset_timeout, self._success_threshold = policy.reset_timeout, policy.trial_calls
            if resized and isinstance(self._state, Closed):
                self._state.window = Window(policy.window)

    # Transitions.

    def trip(self, reason: str, seconds: float | None = None) -> None:
        """Open the circuit from outside: a health check, a drill, a person."""
        with self._guard:
            self._rules.overdue = 0.0  # no trial has found this out
            self._open(reason, seconds)

    def prolong(self, seconds: float) -> None:
        """Keep an open circuit open for so long from now at least; others stay as they are."""
        with self._guard:
            state = self._current()
            if isinstance(state, Open):
                state.until = max(state.until, self.clock() + seconds)

    def hold(self, seconds: float) -> None:
        """Let an open circuit admit no trial so long; `max_reset_timeout` at most since it opened.

        For who has seen that a call would get no answer.
        """
        with self._guard:
            state = self._current()
            if isinstance(state, Open):
                longest = state.began + self.policy.max_reset_timeout
                state.until = max(state.until, min(self.clock() + seconds, longest))

    def hasten(self) -> bool:
        """End a break after failed calls now, so that the next call is a trial; tell if it did.

        For who has seen that something has changed.
        """
        with self._guard:
            state, now = self._current(), self.clock()
            if (
                not isinstance(state, Open)
                or state.reason not in CALLS_FAILED
                or state.until <= now
            ):
                return False
            state.until = now
            return True

    def learn_open(self, reason: str, seconds: float, failed_trials: int) -> None:
        """Take over another process's break, which ends in so many seconds (0 or less: is over).

        Of two breaks the longer holds; trials that made callers wait lengthen the next one too.
        """
        with self._guard:
            self._failed_trials = max(self._failed_trials, failed_trials)
            state = self._current()
            if not isinstance(state, Open):
                self._next_break, self._next_reason = seconds, reason
                self._learn(super().open)
            elif (until := self.clock() + seconds) > state.until:
                state.until, state.reason = until, reason

    def learn_closed(self) -> None:
        """Take over that another process's trial went well."""
        with self._guard:
            if not isinstance(self._current(), Closed):
                self._failed_trials = 0
                self._next_reason = "trial_succeeded"
                self._learn(super().close)

    def _learn(self, change: Callable[[], object]) -> None:
        """Change the state by another process's word; expects the lock."""
        self._learning = True
        try:
            change()
        finally:
            self._learning = False

    @property
    def failed_trials(self) -> int:
        """How many failures in a row that opened it have made a caller wait, the first included."""
        return self._failed_trials

    def early_trial(self, reasons: Collection[str]) -> Permit | None:
        """Return a trial's permit before the break is over, if it is for one of these reasons.

        None when the circuit is not open for any of them, or its trial is under way.
        It is for who knows already, and sends nothing: so no other process is asked.
        """
        with self._guard:
            state = self._current()
            if isinstance(state, Closed) or self.reason not in reasons:
                return None
            if isinstance(state, Open):
                self.half_open()
            state = self._rules
            if isinstance(state, HalfOpen) and state.full(self.clock(), self.policy) is not None:
                return None
            return self._admit(self.clock())

    def last_resort(self, lease: float = 0.0) -> Permit | None:
        """Return a permit for a call that nobody else can answer, also before the break is over.

        None where the break is for what no call can change (a key, a quota, a time that was
        named), or another call is trying.  `lease` as in `acquire`.
        """
        with self._guard:
            now = self.clock()
            self._current()
            admitted = self._refusal(now) is None
            state = self._rules
            admits_last_resort = isinstance(state, Open) and state.admits_last_resort(now)
            return self._admit(now, lease) if admitted or admits_last_resort else None

    @property
    def admits_last_resort(self) -> bool:
        """Whether `last_resort` would give a permit just now."""
        with self._guard:
            state, now = self._current(), self.clock()
            return (
                state.admits_last_resort(now)
                if isinstance(state, Open)
                else self.retry_after is None
            )

    def _move(self, to: Transition) -> None:
        """Carry out a transition; expects the lock."""
        if to.to == "open":
            self._open(to.reason, to.seconds, to.cost)
        elif to.to == "closed":
            self.close()
        else:
            self.half_open()

    def _open(self, reason: str, seconds: float | None, cost: float = 0.0) -> None:
        """Open for a time, None: the usual after a failure of this cost; expects the lock."""
        if seconds is None:
            seconds = self._usual_break(cost)
        self._next_break, self._next_reason = max(0.0, seconds), reason
        super().open()

    def _usual_break(self, cost: float) -> float:
        """Return how long a break lasts after a failure that took `cost` seconds.

        It counts from where the failed call began, or could have begun if its failure has made
        nobody wait: then trials come at one rate, however calls fall.  Half of it is left at least.
        """
        seconds, spent = self.policy.reset_timeout, cost
        if DEAR * cost <= seconds:
            self._failed_trials = 0
            spent += self._rules.overdue
        else:
            seconds = DEAR * cost * 2**self._failed_trials
            self._failed_trials = min(self._failed_trials + 1, 32)
        longest = max(self.policy.max_reset_timeout, self.policy.reset_timeout)
        seconds = min(seconds, longest) * (1 - JITTER * self._chance())
        return max(seconds - spent, seconds / 2)

    def open(self) -> bool:
        """Open the circuit for its usual break, as pybreaker's method does."""
        with self._guard:
            self._next_break, self._next_reason = self.policy.reset_timeout, "forced"
            return super().open()

    def close(self) -> None:
        """Close the circuit and forget its failures."""
        with self._guard:
            self._failed_trials = 0
            self._next_reason = "trial_succeeded"
            super().close()

    # pybreaker's own call path, made harmless.

    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Guard a plain function without making its callers wait for one another."""
        with self.acquire():
            return func(*args, **kwargs)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Guard a block; pybreaker's own would report success before the block has run."""
        with self.acquire():
            yield

    def _create_new_state(
        self, new_state: str, prev_state: Any = None, notify: bool = False
    ) -> Any:
        state: CircuitState
        if new_state == "closed":
            state = Closed(self.clock(), self.policy.window)
        elif new_state == "open":
            state = Open(self.clock(), self._next_break, self._next_reason)
        elif new_state == "half-open":
            state = HalfOpen(self._next_reason, self._late(prev_state))
        else:
            raise ValueError(f"unknown breaker state {new_state!r}")
        state.learned = self._learning
        if notify:
            self._state_storage.reset_counter()
            self._guard.later(
                partial(each.state_change, self, prev_state, state) for each in self.listeners
            )
            self._guard.later(partial(each, self) for each in observers)
        return state

    def _late(self, state: Any) -> float:
        """Return for how many seconds a trial has waited for a call.

        In a fleet for none: the next call is soon somebody's, and its breaks are told as they are.
        """
        if self.gate is None and isinstance(state, Open):
            return max(0.0, self.clock() - state.until)
        return 0.0

    @property
    def state(self) -> Any:
        """The current state object; pybreaker's getter writes, so it needs the lock."""
        with self._guard:
            return self._current()

    @state.setter
    def state(self, name: str) -> None:
        pybreaker.CircuitBreaker.state.fset(self, name)  # type: ignore[attr-defined]

    @property
    def _rules(self) -> CircuitState:
        return self._state  # type: ignore[return-value]  # one of ours: see `_create_new_state`

    def _current(self) -> CircuitState:
        """Return the state, first looking at a storage that others may have changed."""
        if self._shared and self._state_storage.state != self._state.name:
            # Moved by somebody else: for how long and why is not known here.
            self._next_break, self._next_reason = self.policy.reset_timeout, "shared"
            pybreaker.CircuitBreaker.state.fget(self)  # type: ignore[attr-defined]
        return self._rules


def _cost(permit: Permit, now: float, own: float) -> float:
    """Return the seconds that a failed call took, less those that this process took itself."""
    return max(0.0, now - permit.began - own)
