"""A guarded function of each of the four colours: they stand side by side to be compared."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, cast
from weakref import ref

from pilotlight.core.flow import drivers
from pilotlight.core.flow.failover import CallContext, failover_flow
from pilotlight.core.provider import Answered, Attempt, Failed
from pilotlight.doors.guarded import Given, Guard
from pilotlight.doors.judging import alarm_for, failed, judged, note_whose_time
from pilotlight.doors.sources import AsyncSource, Source, scene


def function(guard: Guard) -> Callable[[Given], Any]:
    """Return what calls a plain function."""

    def run(asked: Given) -> Any:
        ctx, route, given = guard.trip(asked)

        def ask(attempt: Attempt) -> Answered | Failed:
            provider = attempt.target.provider
            if ctx.call.private and (away := provider.verify_local(attempt)) is not None:
                return away
            handle = _handle(ctx, attempt, False)
            try:
                with scene(handle, ctx):
                    value = guard.run(handle, given)
            except Exception as error:
                return failed(handle, error, given.prompts)
            return judged(handle, value)

        return drivers.complete(failover_flow(ctx), ask, route.clock)

    return run


def coroutine(guard: Guard) -> Callable[[Given], Any]:
    """The same for a coroutine function."""

    async def run(asked: Given) -> Any:
        ctx, route, given = guard.trip(asked)

        async def ask(attempt: Attempt) -> Answered | Failed:
            provider = attempt.target.provider
            if ctx.call.private and (away := await provider.averify_local(attempt)) is not None:
                return away
            handle = _handle(ctx, attempt, True)
            alarm = alarm_for(handle.tap)
            try:
                with scene(handle, ctx), alarm:
                    value = await guard.run(handle, given)
            except Exception as error:
                note_whose_time(handle.tap, alarm)
                return failed(handle, error, given.prompts)
            finally:
                alarm.stop()
            return judged(handle, value)

        return await drivers.acomplete(failover_flow(ctx), ask, route.clock)

    return run


def generator(guard: Guard) -> Callable[[Given], Any]:
    """The same for a generator function."""

    def run(asked: Given) -> Generator[Any]:
        ctx, route, given = guard.trip(asked, stream=True)

        def ask(attempt: Attempt) -> Source:
            provider = attempt.target.provider
            handle = _handle(ctx, attempt, False)
            items = guard.run(handle, given)
            verify_local = partial(provider.verify_local, attempt) if ctx.call.private else None
            return Source(handle, scene(handle, ctx), items, given.prompts, verify_local)

        yield from drivers.stream(failover_flow(ctx), ask, route.clock)

    return run


def async_generator(guard: Guard) -> Callable[[Given], Any]:
    """The same for an async generator function."""

    async def run(asked: Given) -> AsyncIterator[Any]:
        ctx, route, given = guard.trip(asked, stream=True)

        def ask(attempt: Attempt) -> AsyncSource:
            provider = attempt.target.provider
            handle = _handle(ctx, attempt, True)
            items = guard.run(handle, given)
            verify_local = partial(provider.averify_local, attempt) if ctx.call.private else None
            return AsyncSource(handle, scene(handle, ctx), items, given.prompts, verify_local)

        items = cast("AsyncGenerator[Any]", drivers.astream(failover_flow(ctx), ask, route.clock))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # at once, not when the collector comes by

    return run


def _handle(ctx: CallContext, attempt: Attempt, asynchronous: bool) -> Any:
    """Return what the function is given; its tap knows it, and the wish on broken events."""
    handle = attempt.target.provider.handle(attempt, asynchronous)
    handle.tap.skips = ctx.call.skip_broken
    with suppress(TypeError):  # an object of a plugin's own may take no weak reference
        handle.tap.target = ref(handle)  # not itself, or only the collector would free the two
    return handle
