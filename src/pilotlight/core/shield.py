"""What stands around a provider's code while it runs: by default nothing.

The one seam for those who go along with a call, which is telemetry.  A driver asks
through the attempt's shield; a shield may set the scene for the provider's code and
look at what comes of it, and it hears of the call's events before the listeners do.
It hands everything on unchanged, and raises nothing of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pilotlight.core.steps import Answered, AsyncSource, Attempt, Failed, Source
    from pilotlight.events import CallEvent


class Shield(Protocol):
    """Asks in the place of a driver, in the four call shapes; and hears what comes of it."""

    def hear(self, event: CallEvent) -> None: ...

    def complete(
        self, ask: Callable[[Attempt], Answered | Failed], attempt: Attempt
    ) -> Answered | Failed: ...

    async def acomplete(
        self, ask: Callable[[Attempt], Awaitable[Answered | Failed]], attempt: Attempt
    ) -> Answered | Failed: ...

    def stream(self, ask: Callable[[Attempt], Source], attempt: Attempt) -> Source: ...

    def astream(self, ask: Callable[[Attempt], AsyncSource], attempt: Attempt) -> AsyncSource: ...


class Bare:
    """No shield: the provider is asked as it is."""

    __slots__ = ()

    def hear(self, event: CallEvent) -> None:
        pass

    def complete(
        self, ask: Callable[[Attempt], Answered | Failed], attempt: Attempt
    ) -> Answered | Failed:
        return ask(attempt)

    async def acomplete(
        self, ask: Callable[[Attempt], Awaitable[Answered | Failed]], attempt: Attempt
    ) -> Answered | Failed:
        return await ask(attempt)

    def stream(self, ask: Callable[[Attempt], Source], attempt: Attempt) -> Source:
        return ask(attempt)

    def astream(self, ask: Callable[[Attempt], AsyncSource], attempt: Attempt) -> AsyncSource:
        return ask(attempt)


BARE: Final = Bare()
