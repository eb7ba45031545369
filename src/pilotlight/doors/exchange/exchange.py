"""The two colours of one exchange: a request on its way, and its answer in the caller's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from dataclasses import replace
from typing import Any, cast

from pilotlight.core.flow import drivers
from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.failover import failover_flow
from pilotlight.core.provider import Attempt, Call
from pilotlight.doors.exchange.asking import CallerRequest, call_of
from pilotlight.doors.exchange.refusals import refusal_of
from pilotlight.doors.exchange.reply import AsyncPieces, AsyncReply, Pieces, Reply
from pilotlight.doors.exchange.writing import Writing, whole
from pilotlight.privacy.residency import is_private
from pilotlight.providers.relay.relay import relay_for
from pilotlight.providers.relay.spoken import is_relayed
from pilotlight.routes.route import Route
from pilotlight.scopes.tags import tags_of


def ask(route: Route, request: CallerRequest) -> Reply:
    """Return the answer of the route's targets in the caller's dialect.

    Blocks until the answer is there, or a stream's first token.  Raises nothing of a call: a
    refusal is a reply too.
    """
    ctx: CallContext | None = None
    try:
        ctx = call_of(route, request)
        call = ctx.call
        if not call.stream:
            value = drivers.complete(
                failover_flow(ctx), lambda attempt: _asked(call, attempt).complete(call, attempt),
                route.clock,
            )  # fmt: skip
            headers, body = whole(request.dialect, value, call)
            return Reply(200, headers, body, recorder=ctx.recorder)
        chunks = drivers.stream(
            failover_flow(ctx), lambda attempt: _asked(call, attempt).stream(call, attempt),
            route.clock,
        )  # fmt: skip
        writing = Writing(request.dialect, call, sse=request.sse)
        pieces = Pieces(writing, writing.begin(next(chunks)), chunks)
        return Reply(200, writing.headers, pieces=pieces, recorder=ctx.recorder)
    except Exception as error:
        return refusal_of(request.dialect, error, None if ctx is None else ctx.recorder)


def aask(route: Route, request: CallerRequest) -> Coroutine[Any, Any, AsyncReply]:
    """Return the answer; as `ask`, without blocking the event loop.

    Made inside `private()`, the call is private wherever it is awaited.
    """
    held = replace(
        request,
        private=is_private(request.private) or request.private,
        tags=tags_of(request.tags),
    )
    return _aask(route, held)


async def _aask(route: Route, request: CallerRequest) -> AsyncReply:
    ctx: CallContext | None = None
    try:
        ctx = call_of(route, request)
        call = ctx.call
        if not call.stream:

            async def complete(attempt: Attempt) -> Any:
                return await _asked(call, attempt).acomplete(call, attempt)

            value = await drivers.acomplete(failover_flow(ctx), complete, route.clock)
            headers, body = whole(request.dialect, value, call)
            return AsyncReply(200, headers, body, recorder=ctx.recorder)
        chunks = cast(
            "AsyncGenerator[Any]",
            drivers.astream(
                failover_flow(ctx),
                lambda attempt: _asked(call, attempt).astream(call, attempt),
                route.clock,
            ),
        )
        writing = Writing(request.dialect, call, sse=request.sse)
        pieces = AsyncPieces(writing, writing.begin(await anext(chunks)), chunks)
        return AsyncReply(200, writing.headers, pieces=pieces, recorder=ctx.recorder)
    except Exception as error:
        told = refusal_of(request.dialect, error, None if ctx is None else ctx.recorder)
        return AsyncReply(told.status, told.headers, told.body, recorder=told.recorder)


def _asked(call: Call, attempt: Attempt) -> Any:
    """Return who asks: in the caller's own words, where the target speaks them.

    An answer that is to be gathered is asked for in ours.
    """
    provider = attempt.target.provider
    if attempt.gather or call.original is None or not is_relayed(provider, call):
        return provider
    return relay_for(provider, call.original.dialect)
