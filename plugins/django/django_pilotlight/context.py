"""What holds for every LLM call of a request: residency, deadline, priority, request id.

It is kept in a contextvar, which crosses `await`, `sync_to_async` and `async_to_sync`.  It
does not cross into threads that you start (`carrying`), nor into a streaming body, which
Django iterates after the view has returned: so the middleware and `llm_context` put it
back around each step of the body.

Private is never lifted: of two contexts, one inside the other, both hold.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import monotonic
from types import TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction
from django.http import StreamingHttpResponse

P = ParamSpec("P")
R = TypeVar("R")
Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class LLMContext:
    """What calls inherit; None: the route's own.

    `until` is the moment of the monotonic clock at which the time for all calls together
    is over.
    """

    private: bool = False
    until: float | None = None
    priority: Priority | None = None
    request_id: str = ""

    def left(self) -> float | None:
        """Return the seconds left, never less than a millisecond; None: no limit."""
        return None if self.until is None else max(self.until - monotonic(), 0.001)

    def within(self, outer: LLMContext) -> LLMContext:
        """Return this context as it is inside another: private stays, the nearer deadline holds."""
        ends = [each for each in (self.until, outer.until) if each is not None]
        return LLMContext(
            private=self.private or outer.private,
            until=min(ends, default=None),
            priority=self.priority or outer.priority,
            request_id=self.request_id or outer.request_id,
        )


NOTHING: Final = LLMContext()
_current: ContextVar[LLMContext] = ContextVar("django_pilotlight", default=NOTHING)


def current() -> LLMContext:
    """Return what holds here."""
    return _current.get()


@contextmanager
def entered(context: LLMContext) -> Iterator[LLMContext]:
    """Let a context hold inside the block, besides those around it.

    A private one holds for pilotlight's other doors too: `@failover`, `completion`.
    """
    inner = context.within(_current.get())
    with ExitStack() as stack:
        if inner.private:
            import pilotlight

            stack.enter_context(pilotlight.private())
        token = _current.set(inner)
        stack.callback(_current.reset, token)
        yield inner


class llm_context(AbstractContextManager[LLMContext]):  # noqa: N801 - used as a decorator
    """Say what holds for the LLM calls of a view, or of a block; `deadline` is in seconds.

    `deadline` counts from the view's beginning and is shared by all its calls.  Left out:
    what the context around it says, then the route.  A streaming body is included.

    As a decorator for sync and async views, and for methods by `method_decorator`.  Raises
    ValueError for a deadline or a priority that is none.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        deadline: float | None = None,
        priority: Priority | None = None,
        request_id: str = "",
    ) -> None:
        if deadline is not None and not deadline > 0:
            raise ValueError(f"deadline={deadline!r}: a deadline is a positive number of seconds")
        if priority not in (None, "high", "normal", "low"):
            raise ValueError(f"priority={priority!r}: a priority is high, normal or low")
        self._given = LLMContext(private, None, priority, request_id)
        self._deadline = deadline
        self._blocks: list[AbstractContextManager[LLMContext]] = []

    def begin(self) -> LLMContext:
        """Return the context as of now: its deadline runs."""
        if self._deadline is None:
            return self._given
        return replace(self._given, until=monotonic() + self._deadline)

    def __enter__(self) -> LLMContext:
        block = entered(self.begin())
        inner = block.__enter__()
        self._blocks.append(block)
        return inner

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks.pop().__exit__(kind, error, traceback)

    def __call__(self, view: Callable[P, R]) -> Callable[P, R]:
        """Decorate a view."""
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with entered(self.begin()) as inner:
                    return carried(await view(*args, **kwargs), inner)

            return awaited  # type: ignore[return-value]  # R is the coroutine

        @functools.wraps(view)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with entered(self.begin()) as inner:
                return carried(view(*args, **kwargs), inner)

        return plain


def carrying(function: Callable[P, R]) -> Callable[P, R]:
    """Bind a function to the context that holds here: for a thread that you start yourself."""
    return _holding(function, current())


def _holding(function: Callable[P, R], context: LLMContext) -> Callable[P, R]:
    @functools.wraps(function)
    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        with entered(context):
            return function(*args, **kwargs)

    return bound


# Streaming bodies.


def carried(response: R, context: LLMContext) -> R:
    """Let the context hold while a streaming response's body is iterated."""
    if isinstance(response, StreamingHttpResponse) and context != NOTHING:
        body: Any = response.streaming_content
        # Django closes the view's own generator by itself; that is a step of the body, too.
        response._resource_closers = [
            _holding(close, context) for close in response._resource_closers
        ]
        response.streaming_content = (
            each_astep(body, context) if response.is_async else each_step(body, context)
        )
    return response


def each_step(body: Any, context: LLMContext) -> Iterator[Any]:
    """Iterate with the context in force at each step, and at the end."""
    steps = iter(body)
    try:
        while True:
            with entered(context):
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step
    finally:
        if (close := getattr(steps, "close", None)) is not None:
            with entered(context):
                close()


async def each_astep(body: Any, context: LLMContext) -> AsyncIterator[Any]:
    """As `each_step`, for `async for`."""
    steps = aiter(body)
    try:
        while True:
            with entered(context):
                try:
                    step = await anext(steps)
                except StopAsyncIteration:
                    return
            yield step
    finally:
        if (close := getattr(steps, "aclose", None)) is not None:
            with entered(context):
                await close()
