"""For those who build on pilotlight: an endpoint asked by an SDK of their own, on the one road.

    endpoint = Endpoint("gpt", "openai/gpt-4o", api_base=..., api_key=...)
    target = endpoint.target(MyProvider(endpoint))
    route = Route("mine", (target, ...))
    reply, receipt = complete(route.journey(messages, options))

The provider only asks, inside an `endpoint.record(...)`, and hands the outcome up.  Retries,
breakers (the process's own: endpoint + model + credential), deadlines, late commit, receipts,
events and telemetry are the core's.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast

from pilotlight.catalog.providers import Spec
from pilotlight.core.breaker.breaker import BreakerPolicy
from pilotlight.core.clock import SYSTEM_CLOCK
from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import CallContext, failover_flow
from pilotlight.core.provider import (
    Answered,
    AsyncSource,
    Attempt,
    Call,
    Ended,
    Facts,
    Failed,
    Provider,
    Source,
    Timeouts,
)
from pilotlight.core.retry.policy import RetryPolicy
from pilotlight.core.target import Health, Target
from pilotlight.diagnosis.judge import AnswerView, judge, judge_wire
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.diagnosis.report import failure, verdict_failure
from pilotlight.diagnosis.verdict import Verdict
from pilotlight.errors import ProviderFault
from pilotlight.privacy.residency import PRIVATE, is_private, refusing_rule
from pilotlight.providers.connection import Connection
from pilotlight.providers.factory import provider_for
from pilotlight.registry import REGISTRY
from pilotlight.registry import Endpoint as _Key
from pilotlight.routes.call_rules import slip
from pilotlight.scopes.tags import TAGS, checked_tags
from pilotlight.scopes.within import within
from pilotlight.vocabulary.faults import RULES, Fault
from pilotlight.vocabulary.receipt import Receipt
from pilotlight.vocabulary.residency_rules import ResidencyRule
from pilotlight.wire.tap import Tap, listening, new_tap, skips_of

if TYPE_CHECKING:
    import httpx

__all__ = [
    "PRIVATE",
    "TAGS",
    "Adapter",
    "AnswerView",
    "Answered",
    "Attempt",
    "AttemptRecord",
    "Call",
    "CallContext",
    "Ended",
    "Endpoint",
    "Facts",
    "Failed",
    "RetryPolicy",
    "Target",
    "Timeouts",
    "acomplete",
    "astream",
    "checked_tags",
    "complete",
    "is_private",
    "slip",
    "stream",
    "within",
]


class Endpoint:
    """One model endpoint that is asked by an SDK which is not pilotlight's.

    `model` is litellm's `provider/model`; address and key default to the provider's usual
    ones, as in a configuration, so that the circuit breaker is the one that every other
    door of the process uses for this endpoint.  Making one contacts nobody.
    """

    def __init__(
        self, name: str, model: str, *, api_base: str | None = None, api_key: str | None = None
    ) -> None:
        self.name = name
        self.model = model
        self._connection = Connection(Spec(name, model, api_base or None, api_key or None))
        self._proof = provider_for(self._connection)  # it knows how a model is proven to be local
        self._wired = False  # whether every request of its SDK goes through the clients from here
        weakref.finalize(self, self._connection.close)  # before the collector gets at the sockets

    @property
    def base_url(self) -> str:
        """Its address; empty where it is not known."""
        return self._connection.base_url

    def http_client(self) -> httpx.Client | None:
        """Return the client to give to the SDK, so that the wire is heard and the clocks hold.

        It may be used in all threads, and closing it does no harm.  None where the
        address is not known.
        """
        pool = self._connection.pool
        return None if pool is None else pool.client()

    def ahttp_client(self) -> httpx.AsyncClient | None:
        """Return the async client, which may be used in all event loops."""
        pool = self._connection.pool
        return None if pool is None else pool.aclient()

    def target(
        self,
        provider: Provider,
        *,
        provable: bool = False,
        breaker: BreakerPolicy | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        lacks: frozenset[str] = frozenset(),
        window: int | None = None,
    ) -> Target:
        """Return it as a target of a route.

        `provable`: its SDK goes through the clients from here, so that private calls may come
        if the address is proven local.  `breaker`: other numbers for the breaker; None leaves
        those in force that the endpoint has.  `lacks` are abilities that it certainly has not.
        """
        kind = self.model.partition("/")[0]
        rule: ResidencyRule | None = ResidencyRule.NOT_LOCAL
        self._wired = provable
        if provable:
            rule = refusing_rule(kind, self.model, self.base_url)
        if rule is None:
            self._connection.home = ()  # from here on the socket is held to it
        health = self._health(breaker, retry)
        return Target(
            name=self.name,
            model=self.model,
            provider=provider,
            health=health,
            local=rule is None,
            outside=rule or ResidencyRule.NOT_LOCAL,
            timeouts=timeouts,
            retry=retry,
            lacks=lambda: lacks | health.lacks,
            window=lambda: window,
            base_url=self.base_url,
        )

    def _health(self, breaker: BreakerPolicy | None, retry: RetryPolicy) -> Health:
        key = _Key.of(self.base_url, self.model, self._connection.api_key, SYSTEM_CLOCK)
        known = REGISTRY.records.get(key)
        if known is None:
            return REGISTRY.health(key, self.name, breaker or BreakerPolicy(), retry)
        if breaker is not None:
            known.breaker.configure(breaker)
        return known

    def record(self, call: Call, attempt: Attempt) -> AttemptRecord:
        """Return the record of an attempt that starts now."""
        return AttemptRecord(self._connection, self._proof, call, attempt, watched=self._wired)


class AttemptRecord:
    """One attempt at an endpoint: what the wire said, and the verdict on it.

    A context manager, entered around every step into the SDK.  An SDK that does not use the
    endpoint's clients is judged by its exceptions and its answer alone.
    """

    def __init__(
        self,
        connection: Connection,
        proof: Provider,
        call: Call,
        attempt: Attempt,
        *,
        watched: bool = False,
    ) -> None:
        self.timeouts = attempt.timeouts
        self._proof = proof
        self._call = call
        self._attempt = attempt
        self._tap: Tap = new_tap(
            connection.wire, attempt.timeouts, watched=watched, skips=call.skip_broken
        )
        self._tap.keeps_lines = True  # `ollama`'s client reads as litellm does
        self._open: Any = None

    def __enter__(self) -> Self:
        self._open = listening(self._tap)
        self._open.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.__exit__(*exc)

    def verify_local(self) -> Failed | None:
        """Before anything is sent: fail a private call whose model is not at home."""
        return self._proof.verify_local(self._attempt) if self._call.private else None

    async def averify_local(self) -> Failed | None:
        """As `verify_local`."""
        if not self._call.private:
            return None
        return await self._proof.averify_local(self._attempt)

    def failed(self, error: Exception, partial: str = "", tool_begun: bool = False) -> Failed:
        """Diagnose what was raised; raises the error itself where it is a bug.

        A `ProviderFault` is a diagnosis already, and is taken at its word.
        """
        target = self._attempt.target
        if isinstance(error, ProviderFault) and error.fault in RULES:
            verdict = Verdict(Fault(error.fault), error.retry_after, evidence=error.evidence)
            return verdict_failure(target, verdict, partial, tool_begun)
        return failure(target, self._tap, error, self._call.messages, partial, tool_begun)

    def broken_off(self, error: Exception, view: AnswerView) -> Ended | Failed:
        """Diagnose what interrupted a stream; what comes after the last word did not."""
        tap = self._tap
        if view.finish_reason and tap.terminal and not (tap.in_band_error or tap.garbled):
            return self.ended(view)
        return self.failed(error, view.text or "", view.tool_calls)

    def answered(self, value: Any, view: AnswerView, facts: Facts) -> Answered | Failed:
        """Judge an answer."""
        verdict = judge(self._tap, view, prompt_texts=Texts(self._call.messages))
        if verdict is not None:
            return verdict_failure(self._attempt.target, verdict)
        return Answered(value, facts)

    def ended(self, view: AnswerView, facts: Facts = Facts()) -> Ended | Failed:  # noqa: B008 - frozen
        """Judge a stream that ran out."""
        verdict = judge(self._tap, view, prompt_texts=Texts(self._call.messages))
        if verdict is None and not self._tap.requests and view.finish_reason is None:
            verdict = Verdict(Fault.STREAM_TRUNCATED, evidence="no finish reason")
        if verdict is not None:
            target = self._attempt.target
            return verdict_failure(target, verdict, view.text or "", view.tool_calls)
        return Ended(replace(facts, flags=facts.flags + skips_of(self._tap)))

    def check(self) -> None:
        """Let nothing be handed on after an event that is an error, or can't be read.

        To be called with each piece that the SDK makes of a stream: many an SDK passes over
        such an event.  Raises ProviderFault.
        """
        tap = self._tap
        if tap.spoilt and (verdict := judge_wire(tap)) is not None:
            raise ProviderFault(verdict.fault, self._attempt.target.name, verdict.evidence)

    def drain(self) -> None:
        """Read on to the end mark where the SDK has stopped before it."""
        self._tap.drain()

    async def adrain(self) -> None:
        """As `drain`."""
        await self._tap.adrain()

    def close(self) -> None:
        """Give the connection back."""
        self._tap.close()

    async def aclose(self) -> None:
        """As `close`."""
        await self._tap.aclose()


class Adapter:
    """The base of a plugin's provider: override the shapes that it can do.

    A failure of the endpoint is a value; only bugs are raised.  A stream makes its request
    with its first `next`.  Each `AttemptRecord` vouches for its own call.
    """

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        raise NotImplementedError

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        raise NotImplementedError

    def stream(self, call: Call, attempt: Attempt) -> Source:
        raise NotImplementedError

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource:
        raise NotImplementedError

    def handle(self, attempt: Attempt, asynchronous: bool) -> Any:
        raise NotImplementedError

    def verify_local(self, attempt: Attempt) -> Failed | None:
        return None

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        return None

    def prepare(self) -> None:
        """Load what the first call needs."""


def complete(ctx: CallContext) -> tuple[Any, Receipt]:
    """Carry a call out; return what the provider answered, and the receipt.

    Raises as `Route.complete` does.
    """

    def ask(attempt: Attempt) -> Answered | Failed:
        return attempt.target.provider.complete(ctx.call, attempt)

    return drivers.complete(failover_flow(ctx), ask, ctx.clock), ctx.recorder.receipt()


async def acomplete(ctx: CallContext) -> tuple[Any, Receipt]:
    """Carry a call out with coroutines."""

    async def ask(attempt: Attempt) -> Answered | Failed:
        return await attempt.target.provider.acomplete(ctx.call, attempt)

    value = await drivers.acomplete(failover_flow(ctx), ask, ctx.clock)
    return value, ctx.recorder.receipt()


def stream(ctx: CallContext) -> Generator[Any]:
    """Carry a call out as a generator of the provider's chunks; `trip.journal.receipt()` grows."""

    def ask(attempt: Attempt) -> Source:
        return attempt.target.provider.stream(ctx.call, attempt)

    return drivers.stream(failover_flow(ctx), ask, ctx.clock)


def astream(ctx: CallContext) -> AsyncGenerator[Any]:
    """Carry a call out as an async generator of the provider's chunks."""

    def ask(attempt: Attempt) -> AsyncSource:
        return attempt.target.provider.astream(ctx.call, attempt)

    return cast("AsyncGenerator[Any]", drivers.astream(failover_flow(ctx), ask, ctx.clock))
