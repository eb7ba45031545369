"""A permit: leave for one call, which is settled once."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pilotlight.core.health.usual import TIMES

if TYPE_CHECKING:
    from pilotlight.core.breaker.breaker import Breaker
    from pilotlight.core.breaker.states import Rules

UNLIMITED: Final = 600.0  # seconds that a call without a limit counts as being in flight


class Permit:
    """Leave for one call.  Settling it a second time does nothing."""

    __slots__ = (
        "_breaker",
        "_settled",
        "_state",
        "began",
        "late",
        "lost",
        "moved",
        "overdue",
        "trial",
    )

    def __init__(
        self, breaker: Breaker, state: Rules, began: float, lease: float, patience: float
    ) -> None:
        self._breaker = breaker
        self._state = state
        self._settled = False
        self.trial = state.trial
        self.moved = False  # whether its verdict has opened or closed the circuit
        self.began = began
        self.late = began + patience / TIMES  # from when on its silence is longer than usual
        self.overdue = began + patience  # from when on it is a bad sign
        self.lost = began + (lease or UNLIMITED)  # from when on it must have ended

    @property
    def state(self) -> str:
        """The state that admitted the call: `closed`, `half-open`, or `open` for a last resort."""
        return self._state.name

    def heard(self) -> None:
        """The provider has begun to answer: it lives, whatever comes of it."""
        breaker = self._breaker
        with breaker._guard:
            if not self._settled and self._state is breaker._rules:
                self._state.on_heard(self, breaker.clock())

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
                state.on_failed(breaker.clock() - self.began)
                self.moved = breaker._rules is not state

    def trip(self, reason: str, seconds: float | None = None) -> bool:
        """Open the circuit for a reason and a time; None: the usual break.

        Returns whether this permit opened it: False when it was out of date.
        """
        breaker = self._breaker
        with breaker._guard:
            if breaker._hand_in(self) is None:
                return False
            breaker._note_failure(RuntimeError(reason))
            breaker._open(reason, seconds, breaker.clock() - self.began)
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
