"""The running copy of a local model: how it was loaded, who uses it, how long it stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

KEEP_ALIVE = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Setup:
    """What is decided when a model is loaded: for another setup it is loaded again."""

    num_ctx: int
    asked: bool = False  # num_ctx stood in the request; otherwise the server chose it
    shift: bool = True
    num_gpu: int | None = None  # None: the server chooses
    others: tuple[object, ...] = ()  # the further options of load time, as given

    def serves(self, wanted: Setup) -> bool:
        """Tell whether a model loaded so also does for a request that wants it so."""
        own_choice = not self.asked and not wanted.asked
        return (
            (own_choice or self.num_ctx == wanted.num_ctx)
            and self.shift == wanted.shift
            and wanted.num_gpu in (None, self.num_gpu)
            and self.others == wanted.others
        )


@dataclass(slots=True)
class Runner:
    """The running copy of one model."""

    slots: asyncio.Semaphore
    loaded: bool
    setup: Setup
    keep_alive: float = KEEP_ALIVE
    expires: float = 0.0
    cold_serial: int = 0  # the latest `cold` fault that this copy has got over

    def touch(self, keep_alive: float | None) -> None:
        if keep_alive is not None:
            self.keep_alive = keep_alive
        self.expires = time.time() + self.keep_alive


@asynccontextmanager
async def idle(runner: Runner, slots: int) -> AsyncIterator[None]:
    """Wait until nobody uses a model, and keep it so: it is not exchanged under a request."""
    held = 0
    try:
        while held < slots:
            await runner.slots.acquire()
            held += 1
        yield
    finally:
        for _ in range(held):
            runner.slots.release()
