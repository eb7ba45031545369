"""A call that is traced: what stands around its providers' code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pilotlight.core.provider import Answered, AsyncSource, Attempt, Failed, Source
from pilotlight.telemetry.call_trace import CallTrace
from pilotlight.telemetry.interceptor import ShieldedAsyncSource, ShieldedSource, attached
from pilotlight.telemetry.spans import LegSpan


class TracedWatch(CallTrace):
    """The same, and the provider's code runs in the context of its leg."""

    __slots__ = ()

    def complete(
        self, ask: Callable[[Attempt], Answered | Failed], attempt: Attempt
    ) -> Answered | Failed:
        if (leg := self._open_span()) is None:
            return ask(attempt)
        with attached(leg.context):
            outcome = ask(attempt)
        _hear(leg, outcome)
        return outcome

    async def acomplete(
        self, ask: Callable[[Attempt], Awaitable[Answered | Failed]], attempt: Attempt
    ) -> Answered | Failed:
        if (leg := self._open_span()) is None:
            return await ask(attempt)
        with attached(leg.context):
            outcome = await ask(attempt)
        _hear(leg, outcome)
        return outcome

    def stream(self, ask: Callable[[Attempt], Source], attempt: Attempt) -> Source:
        if (leg := self._open_span()) is None:
            return ask(attempt)
        with attached(leg.context):
            source = ask(attempt)
        return ShieldedSource(source, leg.context, leg.content)

    def astream(self, ask: Callable[[Attempt], AsyncSource], attempt: Attempt) -> AsyncSource:
        if (leg := self._open_span()) is None:
            return ask(attempt)
        with attached(leg.context):
            source = ask(attempt)
        return ShieldedAsyncSource(source, leg.context, leg.content)

    def _open_span(self) -> LegSpan | None:
        return self._leg.span if self._leg is not None else None


def _hear(leg: LegSpan, outcome: Answered | Failed) -> None:
    if leg.content is not None and isinstance(outcome, Answered):
        leg.content.heard(outcome.value)
