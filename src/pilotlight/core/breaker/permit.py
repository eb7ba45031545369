"""A permit: leave for one call, which is settled once."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Protocol, Self

from pilotlight.core.health.usual import TIMES

UNLIMITED: Final = 600.0  # seconds that a call without a limit counts as being in flight


class IssuingState(Protocol):
    """The state of the circuit that has issued a permit."""

    @property
    def name(self) -> str:
        """`closed`, `open` or `half-open`."""

    @property
    def trial(self) -> bool:
        """Whether its calls are trials."""

    def returned(self, permit: Permit) -> None:
        """Note that a permit is settled; its verdict follows, if this is still the state."""


class Issuer(Protocol):
    """Who has issued permits and takes them back: the breaker."""

    def heard(self, permit: Permit) -> None:
        """Take note that the provider has begun to answer."""

    def succeeded(self, permit: Permit, duration: float) -> None:
        """Take a permit back: the provider answered, after `duration` seconds."""

    def failed(self, permit: Permit, error: BaseException | None, own: float) -> None:
        """Take a permit back: the provider failed, after a time of which `own` was ours."""

    def tripped(self, permit: Permit, reason: str, seconds: float | None, own: float) -> bool:
        """Take a permit back and open the circuit; tell whether this permit has opened it."""

    def released(self, permit: Permit) -> None:
        """Take a permit back that counts for nothing."""


class Permit:
    """Leave for one call.  Settling it a second time does nothing."""

    __slots__ = (
        "_issuer",
        "began",
        "issued_by",
        "late",
        "lost",
        "moved",
        "overdue",
        "settled",
        "trial",
    )

    def __init__(
        self, issuer: Issuer, state: IssuingState, began: float, lease: float, patience: float
    ) -> None:
        self._issuer = issuer
        self.issued_by = state
        self.settled = False
        self.trial = state.trial
        self.moved = False  # whether its verdict has opened or closed the circuit
        self.began = began
        self.late = began + patience / TIMES  # from when on its silence is longer than usual
        self.overdue = began + patience  # from when on it is a bad sign
        self.lost = began + (lease or UNLIMITED)  # from when on it must have ended

    @property
    def state(self) -> str:
        """The state that admitted the call: `closed`, `half-open`, or `open` for a last resort."""
        return self.issued_by.name

    def heard(self) -> None:
        """The provider has begun to answer: it lives, whatever comes of it."""
        self._issuer.heard(self)

    def success(self, duration: float = 0.0) -> None:
        """The provider answered, after `duration` seconds."""
        self._issuer.succeeded(self, duration)

    def failure(self, error: BaseException | None = None, own: float = 0.0) -> None:
        """The provider failed; an excluded error still counts as a success.

        `own` is how many seconds of the call this process took for itself: they are no cost of
        the failure.
        """
        self._issuer.failed(self, error, own)

    def trip(self, reason: str, seconds: float | None = None, own: float = 0.0) -> bool:
        """Open the circuit for a reason and a time; None: the usual break.  `own` as in `failure`.

        Returns whether this permit opened it: False when it was out of date.
        """
        return self._issuer.tripped(self, reason, seconds, own)

    def release(self) -> None:
        """Give the permit back uncounted: cancelled, abandoned, or no fault of the provider."""
        if not self.settled:
            self._issuer.released(self)

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
