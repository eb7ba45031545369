"""A call's moment at a door that may be opened for it: waited for with `flow.steps.Queue`."""

from __future__ import annotations

from collections.abc import Callable


class Turn:
    """Settled once, by whoever learns what there was to wait for; the call then looks for itself.

    No lock: one side sets what the other reads next, so that at worst `wake` is called twice.
    """

    __slots__ = ("_wake", "over", "patience")

    def __init__(self, patience: float) -> None:
        self.patience = patience  # seconds that it may be waited for
        self.over = False
        self._wake: Callable[[], object] | None = None

    def when_settled(self, wake: Callable[[], object]) -> None:
        """Call `wake` once it is settled; at once if it is."""
        self._wake = wake
        if self.over:
            wake()

    def settle(self) -> None:
        """Let the call look."""
        self.over = True
        if (wake := self._wake) is not None:
            wake()

    def release(self) -> None:
        """The call waits no more."""
        self.over, self._wake = True, None
