"""One deadline for many awaits: `asyncio.timeout` for a stream, its timer set once.

`asyncio.timeout` around each chunk costs more than the chunk does.  What it does when time
is up is done here in the same way: the task is cancelled, and that cancellation, if it is no
other's, comes out as TimeoutError.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from pilotlight.wire.clocks import LENIENCE, LOOKS
from pilotlight.wire.time_ledger import NOTICEABLE


class Alarm:
    """Rings `seconds` after the first `with` block is entered, if a block is running then.

    None is never.  A block that is entered later has no time at all: it ends where it would wait.
    Raises TimeoutError from the block.  `stop` when there will be no further block.

    An event loop that was blocked makes it late, and what the block waits for may be there
    already: then it gives the block as long again, a second at most.  `rang` tells that
    time is over, `starved` that it was late each time: that says nothing of whom the block
    waits for.
    """

    __slots__ = (
        "_cancelling",
        "_looks",
        "_ringing",
        "_seconds",
        "_task",
        "_timer",
        "rang",
        "starved",
    )

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: asyncio.Handle | None = None
        self._task: asyncio.Task[Any] | None = None  # the one in the block
        self._cancelling = 0  # requests to cancel it that were not ours
        self.rang = False
        self._ringing = False
        self._looks = LOOKS
        self.starved = False

    def __enter__(self) -> None:
        if self._seconds is None:
            return
        task = self._task = asyncio.current_task()
        assert task is not None  # it rings for a task
        self._cancelling = task.cancelling()
        if self._timer is None:  # a stream that never waits is spared the timer
            loop = task.get_loop()
            self._timer = loop.call_soon(self._set, loop, loop.time() + self._seconds)
        elif self.rang:
            self._timer = task.get_loop().call_soon(self._ring)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self.rang:
            self.stop()  # the ringing for a block that was late, and did not wait
        if not self._ringing:
            return
        self._ringing = False
        assert task is not None
        ours = task.uncancel() <= self._cancelling
        if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def stop(self) -> None:
        """Don't ring any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self._timer = loop.call_at(when, self._due, loop, when)

    def _due(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        late = loop.time() - when
        if late > NOTICEABLE and self._looks > 0:
            self._looks -= 1
            self._set(loop, loop.time() + min(late, LENIENCE))
            return
        self.starved = late > NOTICEABLE
        self._ring()

    def _ring(self) -> None:
        self.rang = True
        if self._task is not None:
            self._ringing = True
            self._task.cancel()
