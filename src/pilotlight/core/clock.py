"""Time as the library sees it: one object, so that a test can hold it in its hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    import threading


class Clock(Protocol):
    """Tells monotonic seconds when called, and waits."""

    def __call__(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    async def asleep(self, seconds: float) -> None: ...

    def wait(self, event: threading.Event, seconds: float | None) -> None: ...

    async def await_(self, event: asyncio.Event, seconds: float | None) -> None: ...


class SystemClock:
    """The machine's monotonic clock."""

    __call__ = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    async def asleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        import asyncio

        await asyncio.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        """Wait for the event, at most so long; the event knows which it was."""
        event.wait(seconds)

    async def await_(self, event: asyncio.Event, seconds: float | None) -> None:
        """As `wait`, without blocking the event loop."""
        import asyncio

        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass  # the event still says so


SYSTEM_CLOCK = SystemClock()
