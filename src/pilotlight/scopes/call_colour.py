"""A plain callable in the place of a coroutine function or of a generator function.

Calling a coroutine function or a generator function runs nothing of it, so a wrapper of the
same kind would look at what holds around a call (`private()`) only when it is awaited or read.
The wrapper here is plain: what holds where it is called can be bound then.  What kind it
stands for is still told: `inspect` and `asyncio` look at `__code__`, as they do for functions
that Cython has compiled (`inspect._signature_is_functionlike`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

_LAZY = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Coloured:
    """Calls `call`, and looks like `function` to whoever asks what kind of function it is."""

    def __init__(self, function: Any, call: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.__code__ = function.__code__
        self.__defaults__ = function.__defaults__
        self.__kwdefaults__ = function.__kwdefaults__
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<function {self.__qualname__}>"  # type: ignore[attr-defined]

    def __reduce__(self) -> str:
        return str(self.__qualname__)  # type: ignore[attr-defined]


def coloured(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` as a wrapper of `function`, of the kind that `function` is."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = getattr(inner, "__func__", inner)  # of a method
    code = getattr(inner, "__code__", None)
    if code is not None and code.co_flags & _LAZY:
        return Coloured(inner, call)
    return functools.wraps(function)(call)
