"""Time as the library sees it: one object, so that a test can hold it in its hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells monotonic seconds when called, and waits."""

    def __call__(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    async def asleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's monotonic clock."""

    __call__ = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    async def asleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        import asyncio

        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
