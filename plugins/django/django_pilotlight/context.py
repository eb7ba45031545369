"""What holds for every LLM call of a request: residency, deadline, priority, request id.

It crosses `await`, `sync_to_async` and `async_to_sync`, and stays with a generator that is
resumed elsewhere.  It does not cross into threads that you start (`carrying`), nor into what
Django does with a response after the view has returned: it renders it, iterates a streaming
body, and closes it.  So the middleware and `llm_context` put it back around each of these.

Private is never lifted: of two contexts, one inside the other, both hold.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Final, Literal, ParamSpec, TypeVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase

from pilotlight.scopes.blocks import Blocks, Entry
from pilotlight.scopes.within import each_astep, each_step, within

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
    tags: tuple[tuple[str, str], ...] = ()

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
            tags=tuple({**dict(outer.tags), **dict(self.tags)}.items()),
        )


NOTHING: Final = LLMContext()
_CONTEXTS: Final[Blocks[LLMContext]] = Blocks("django_pilotlight")


def current() -> LLMContext:
    """Return what holds here."""
    held = NOTHING
    for context in _CONTEXTS.values():  # the outermost first
        held = context.within(held)
    return held


class entered(AbstractContextManager[LLMContext]):  # noqa: N801 - used as a function
    """Let a context hold inside the block, besides those around it.

    A private one holds for pilotlight's other doors too: `@failover`, `completion`.
    """

    def __init__(self, context: LLMContext) -> None:
        self._context = context
        self._open: list[Entry[LLMContext]] = []
        self._private: list[Entry[bool]] = []
        self._tagged: list[Entry[Mapping[str, str]]] = []

    def __enter__(self) -> LLMContext:
        return self._begin(self._context, sys._getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(sys._getframe(1))

    def _begin(self, context: LLMContext, caller: FrameType) -> LLMContext:
        if context.private:
            from pilotlight.extension import PRIVATE

            PRIVATE.enter(True, self._private, caller)
        if context.tags:
            from pilotlight.extension import TAGS

            TAGS.enter(dict(context.tags), self._tagged, caller)
        _CONTEXTS.enter(context, self._open, caller)
        return current()

    def _end(self, caller: FrameType) -> None:
        if self._context.private:
            from pilotlight.extension import PRIVATE

            PRIVATE.leave(self._private, caller)
        if self._context.tags:
            from pilotlight.extension import TAGS

            TAGS.leave(self._tagged, caller)
        _CONTEXTS.leave(self._open, caller)


_TERMS: Final = ("private", "total_timeout", "priority", "request_id", "tags")


class llm_context(entered):  # noqa: N801 - used as a decorator
    """Say what holds for the LLM calls of a view, or of a block; `total_timeout` is in seconds.

    `total_timeout` counts from the view's beginning and is shared by all its calls.  Left out:
    what the context around it says, then the route.  What Django does with the response
    afterwards is included: rendering, a streaming body, closing.  `tags` are your own words for
    the calls, such as their tenant, by which budgets and receipts tell them apart.

    As a decorator for sync and async views, for generators, and for methods by
    `method_decorator`.  One object may be used by several threads and tasks at once.  Raises
    ValueError for a deadline or a priority that is none.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        total_timeout: float | None = None,
        priority: Priority | None = None,
        request_id: str = "",
        tags: Mapping[str, str] | None = None,
        **unknown: Any,
    ) -> None:
        for name in unknown:
            from pilotlight.extension import slip

            meant = slip(name, _TERMS)
            told = f"; did you mean {meant}=?" if meant in _TERMS else ""
            raise TypeError(f"llm_context() takes no {name}={told}")
        if total_timeout is not None and not total_timeout > 0:
            raise ValueError(
                f"total_timeout={total_timeout!r}: a time limit is a positive number of seconds"
            )
        if priority not in (None, "high", "normal", "low"):
            raise ValueError(f"priority={priority!r}: a priority is high, normal or low")
        named: tuple[tuple[str, str], ...] = ()
        if tags is not None:
            from pilotlight.extension import checked_tags

            named = tuple(checked_tags(tags).items())
        super().__init__(LLMContext(private, None, priority, request_id, named))
        self._deadline = total_timeout

    def begin(self) -> LLMContext:
        """Return the context as of now: its deadline runs."""
        if self._deadline is None:
            return self._context
        return replace(self._context, until=monotonic() + self._deadline)

    def __enter__(self) -> LLMContext:
        return self._begin(self.begin(), sys._getframe(1))

    def __call__(self, view: Callable[P, R]) -> Callable[P, R]:
        """Decorate a view."""
        return _coloured(view, lambda *args, **kwargs: _run(self.begin(), view, *args, **kwargs))


def carrying(function: Callable[P, R]) -> Callable[P, R]:
    """Bind a function to the context that holds here: for a thread that you start yourself."""
    context = current()
    return _coloured(function, lambda *args, **kwargs: _run(context, function, *args, **kwargs))


def _coloured(function: Callable[P, R], run: Callable[P, R]) -> Callable[P, R]:
    """Return `run` in the place of `function`; Django is told of a coroutine function."""
    functools.update_wrapper(run, function)
    return markcoroutinefunction(run) if iscoroutinefunction(function) else run


def _run(context: LLMContext, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in a context, which also holds for what it returns and still has to run."""
    with entered(context):
        made = function(*args, **kwargs)
    if inspect.iscoroutine(made):
        return _awaited(context, made)
    return within(partial(entered, context), carried(made, context))


async def _awaited(context: LLMContext, made: Coroutine[Any, Any, Any]) -> Any:
    with entered(context):
        return carried(await made, context)


# What Django does with a response when the view has returned.


def carried(response: R, context: LLMContext) -> R:
    """Let the context hold while a response is rendered, iterated and closed."""
    if not isinstance(response, HttpResponseBase) or context == NOTHING:
        return response
    if getattr(vars(response).get("close"), "context", None) == context:
        return response  # it has been rendered meanwhile
    if isinstance(response, StreamingHttpResponse):
        body: Any = response.streaming_content
        step = each_astep if response.is_async else each_step
        response.streaming_content = step(partial(entered, context), body)
    for name in ("render", "close"):
        if callable(getattr(response, name, None)):
            setattr(response, name, _Once(response, name, context))
    return response


class _Once:
    """A method of one response, called in a context; then the method is itself again.

    So nothing refers to itself in a response that is closed.  In a cache it is kept as the
    method that it stands for.
    """

    def __init__(self, response: HttpResponseBase, name: str, context: LLMContext) -> None:
        self._response = response
        self._name = name
        self.context = context
        self._own = name in vars(response)  # set by the view, or by a context inside
        self._method = getattr(response, name)
        if iscoroutinefunction(self._method):
            markcoroutinefunction(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if vars(self._response).get(self._name) is self:
            if self._own:
                setattr(self._response, self._name, self._method)
            else:
                delattr(self._response, self._name)
        return _run(self.context, self._method, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._response, self._name)
