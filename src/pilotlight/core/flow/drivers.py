"""The four drivers: they carry out what the flow asks for, and decide nothing.

The only code of the core that waits.  Each closes the flow in its `finally`,
which gives back whatever the flow holds on every way out.  What a provider raises
is a bug, ours or the caller's: it is thrown into the flow, which writes it down.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

from pilotlight.core.clock import Clock
from pilotlight.core.flow.steps import Flow, Outcome, Pause, Queue, Relay
from pilotlight.core.provider import Answered, AsyncSource, Attempt, Ended, Failed, Opened, Source
from pilotlight.core.runtime import require_asyncio


def complete(flow: Flow, ask: Callable[[Attempt], Answered | Failed], clock: Clock) -> Any:
    """Carry the flow out with plain functions; return the answer."""
    outcome: Outcome | None = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return done.value
            outcome = None
            if isinstance(step, Attempt):
                try:
                    outcome = step.interceptor.complete(ask, step)
                except Exception as bug:
                    flow.throw(bug)
            elif isinstance(step, Pause):
                clock.sleep(step.seconds)
            elif isinstance(step, Queue):
                _wait(step, clock)
    finally:
        flow.close()


async def acomplete(
    flow: Flow, ask: Callable[[Attempt], Awaitable[Answered | Failed]], clock: Clock
) -> Any:
    """Carry the flow out with coroutines; return the answer."""
    require_asyncio()
    outcome: Outcome | None = None
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return done.value
            outcome = None
            if isinstance(step, Attempt):
                try:
                    outcome = await step.interceptor.acomplete(ask, step)
                except Exception as bug:
                    flow.throw(bug)
            elif isinstance(step, Pause):
                await clock.asleep(step.seconds)
            elif isinstance(step, Queue):
                await _await(step, clock)
    finally:
        flow.close()


def stream(flow: Flow, ask: Callable[[Attempt], Source], clock: Clock) -> Generator[Any]:
    """Carry the flow out as a generator of chunks; nothing is yielded before real content."""
    outcome: Outcome | None = None
    source: Source | None = None
    held: list[Any] = []
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration:
                return
            outcome = None
            if isinstance(step, Attempt):
                if source is not None:
                    source.close()
                try:
                    source = step.interceptor.stream(ask, step)
                    held, outcome = _open(source)
                except Exception as bug:
                    flow.throw(bug)
            elif isinstance(step, Relay):
                assert source is not None
                if step.restarted is not None:
                    yield step.restarted
                outcome = yield from _relay(flow, source, held)
            elif isinstance(step, Pause):
                clock.sleep(step.seconds)
            elif isinstance(step, Queue):
                _wait(step, clock)
    finally:
        flow.close()
        if source is not None:
            source.close()


async def astream(
    flow: Flow, ask: Callable[[Attempt], AsyncSource], clock: Clock
) -> AsyncIterator[Any]:
    """Carry the flow out as an async generator of chunks."""
    require_asyncio()
    outcome: Outcome | None = None
    source: AsyncSource | None = None
    held: list[Any] = []
    try:
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration:
                return
            outcome = None
            if isinstance(step, Attempt):
                if source is not None:
                    await source.aclose()
                try:
                    source = step.interceptor.astream(ask, step)
                    held, outcome = await _aopen(source)
                except Exception as bug:
                    flow.throw(bug)
            elif isinstance(step, Relay):
                assert source is not None
                if step.restarted is not None:
                    yield step.restarted
                for chunk in held:
                    yield chunk
                # An async generator can't `yield from`, so the relay stands here in full.
                chunks = aiter(source)
                while outcome is None:
                    try:
                        chunk = await anext(chunks)
                    except StopAsyncIteration:
                        outcome = source.ended()
                    except Exception as error:
                        outcome = _diagnosed(flow, source, error)
                    else:
                        yield chunk
            elif isinstance(step, Pause):
                await clock.asleep(step.seconds)
            elif isinstance(step, Queue):
                await _await(step, clock)
    finally:
        flow.close()
        if source is not None:
            await source.aclose()


# Streams commit late: what comes before the first text or tool call is held back.


def _open(source: Source) -> tuple[list[Any], Outcome]:
    held: list[Any] = []
    try:
        for chunk in source:
            held.append(chunk)
            if source.commits(chunk):
                return held, Opened()
    except Exception as error:
        return held, source.failed(error)
    return held, _commit_whole(held, source.ended())


async def _aopen(source: AsyncSource) -> tuple[list[Any], Outcome]:
    held: list[Any] = []
    try:
        async for chunk in source:
            held.append(chunk)
            if source.commits(chunk):
                return held, Opened()
    except Exception as error:
        return held, source.failed(error)
    return held, _commit_whole(held, source.ended())


def _commit_whole(held: list[Any], outcome: Ended | Failed) -> Outcome:
    """A stream judged good although nothing in it commits is handed over as it is."""
    return Opened() if held and isinstance(outcome, Ended) else outcome


def _relay(flow: Flow, source: Source, held: list[Any]) -> Generator[Any, None, Ended | Failed]:
    """Yield the chunks; return how the stream ended.

    What the consumer throws in at a `yield` is not the provider's failure, so
    only the reading is guarded.
    """
    yield from held
    chunks = iter(source)
    while True:
        try:
            chunk = next(chunks)
        except StopIteration:
            return source.ended()
        except Exception as error:
            return _diagnosed(flow, source, error)
        yield chunk


def _diagnosed(flow: Flow, source: Source | AsyncSource, error: Exception) -> Ended | Failed:
    """Ask the source what happened; a bug of its own goes through the flow, and out."""
    try:
        return source.failed(error)
    except Exception as bug:
        flow.throw(bug)
        raise


# Waiting for a place in a bulkhead; a wait that runs out leaves the ticket "waiting".


def _wait(step: Queue, clock: Clock) -> None:
    settled = threading.Event()
    step.ticket.when_settled(settled.set)
    clock.wait(settled, step.seconds)


async def _await(step: Queue, clock: Clock) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    settled = asyncio.Event()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(settled.set)
        except RuntimeError:  # that loop is closed: the flow gives the place back
            step.ticket.release()

    step.ticket.when_settled(wake)
    await clock.await_(settled, step.seconds)
