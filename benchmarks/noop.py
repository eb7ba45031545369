"""A provider that answers at once: what is left is what pilotlight itself costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from pilotlight.core.breaker.breaker import Breaker
from pilotlight.core.provider import Answered, Attempt, Call, Ended, Failed
from pilotlight.core.retry.budget import RetryBudget
from pilotlight.core.spending.ledger import Ledger
from pilotlight.core.spending.price import UNKNOWN, Price
from pilotlight.core.target import Health, Target
from pilotlight.routes.route import Route
from pilotlight.wire.tap import new_tap

CHUNK = "word "
ANSWER = Answered("an answer")


@dataclass(slots=True, weakref_slot=True)
class Handle:
    """What a decorated function is given, with a real tap: that is part of the cost."""

    name: str
    tap: Any
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Noop:
    """Answers everything with the same words, after `seconds` if that is not nought."""

    chunks: int = 1
    seconds: float = 0.0

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        if self.seconds:
            time.sleep(self.seconds)
        return ANSWER

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return ANSWER

    def stream(self, call: Call, attempt: Attempt) -> Source:
        return Source(self.chunks)

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource:
        return AsyncSource(self.chunks)

    def prepare(self) -> None:
        """Nothing to load."""

    def handle(self, attempt: Attempt, asynchronous: bool) -> Handle:
        name = attempt.target.name
        return Handle(name, new_tap("other", attempt.timeouts), attempt.timeouts.total)


class Source:
    """So many chunks, each of them content."""

    def __init__(self, chunks: int) -> None:
        self._left = chunks

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return CHUNK

    def commits(self, chunk: str) -> bool:
        return True

    def ended(self) -> Ended:
        return Ended()

    def failed(self, error: Exception) -> Failed:
        raise error

    def close(self) -> None:
        """Nothing to close."""


class AsyncSource(Source):
    """The same for async."""

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return CHUNK

    async def aclose(self) -> None:
        """Nothing to close."""


def route_to(provider: Noop, price: Price = UNKNOWN, *budgets: Ledger) -> Route:
    """Return a route of one such target, with a breaker and a retry budget as real ones have."""
    health = Health(Breaker("noop"), RetryBudget(0.2, 3.0))
    target = Target("noop", "noop/noop", provider, health, price=lambda: price)
    return Route("bench", (target,), budgets=budgets)
