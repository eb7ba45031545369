"""What a call has made, run inside a block wherever it is awaited or read.

A coroutine or a generator begins when somebody asks for it, in whatever context that is.  The
block is entered anew for each step, so that it neither ends early nor holds for the reader.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar, cast

T = TypeVar("T")
Block = Callable[[], AbstractContextManager[Any]]


def within(block: Block, made: T) -> T:
    """Return a coroutine, a generator or an async generator with `block()` around what it runs.

    Anything else is returned as it is: its call is over, or it has bound what holds itself.
    """
    if inspect.isgenerator(made):
        return cast("T", each_step(block, made))
    if inspect.iscoroutine(made):
        return cast("T", _awaited(block, made))
    return cast("T", each_astep(block, made)) if inspect.isasyncgen(made) else made


async def _awaited(block: Block, made: Coroutine[Any, Any, Any]) -> Any:
    with block():
        return await made


def each_step(block: Block, items: Iterator[Any]) -> Generator[Any, Any, Any]:
    """Run each step inside a block, and the time between two of them outside; so the end, too."""
    step: Callable[[], Any] = partial(next, items)
    try:
        while True:
            with block():
                try:
                    item = step()
                except StopIteration as done:
                    return done.value
            try:
                said = yield item
                step = partial(next, items) if said is None else partial(_of(items).send, said)
            except GeneratorExit:
                raise
            except BaseException as error:
                if not hasattr(items, "throw"):
                    raise
                step = partial(_of(items).throw, error)
    finally:
        if (close := getattr(items, "close", None)) is not None:
            with block():
                close()


async def each_astep(block: Block, items: AsyncIterator[Any]) -> AsyncGenerator[Any, Any]:
    """As `each_step`, for async."""
    step: Callable[[], Any] = partial(anext, items)
    try:
        while True:
            with block():
                try:
                    item = await step()
                except StopAsyncIteration:
                    return
            try:
                said = yield item
                step = partial(anext, items) if said is None else partial(_of(items).asend, said)
            except GeneratorExit:
                raise
            except BaseException as error:
                if not hasattr(items, "athrow"):
                    raise
                step = partial(_of(items).athrow, error)
    finally:
        if (close := getattr(items, "aclose", None)) is not None:
            with block():
                await close()


def _of(items: Any) -> Any:
    """Return an iterator as the generator that it must be: something was sent to it."""
    return items
