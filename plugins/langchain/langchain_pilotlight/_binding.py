"""A call is private from the moment it is made, wherever it is awaited or read.

Most of LangChain's call shapes begin when they are read, and would find `pilotlight.private()`
gone.  So our models say `private=True` to themselves where a call is made inside that block, and
what is derived from them (`bind`, `with_config`, `with_structured_output`, `model | parser`)
runs inside it step by step.

A chain that begins with another's runnable (`prompt | model`) is LangChain's own class: its
`stream` knows nothing of the block before it is read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

from langchain_core.runnables import Runnable, RunnableBinding

import pilotlight
from pilotlight.extension import is_private, within

try:  # it has the shapes of a chat model; not in the oldest releases
    from langchain_core.language_models.chat_models import _ChatModelBinding as _ModelBinding
except ImportError:  # pragma: no cover
    _ModelBinding = RunnableBinding  # type: ignore[assignment,misc]

T = TypeVar("T", bound=type[Runnable[Any, Any]])
_CALLS: Final = (
    "invoke", "ainvoke", "batch", "abatch", "batch_as_completed", "abatch_as_completed",
    "stream", "astream", "transform", "atransform", "stream_events", "astream_events",
    "astream_log",
)  # fmt: skip
_OF_MODELS: Final = ("generate", "agenerate", "generate_prompt", "agenerate_prompt")
_DERIVED: Final = (
    "with_config", "with_listeners", "with_alisteners", "with_types", "with_retry",
    "with_fallbacks", "with_structured_output", "configurable_fields",
    "configurable_alternatives", "map", "pipe", "pick", "assign", "__or__", "__ror__",
)  # fmt: skip


def private_when_made(kind: T) -> T:
    """Let a chat model's calls be private where they are made, and what is derived from it."""
    for name in (*_CALLS, *_OF_MODELS):
        if hasattr(kind, name):
            setattr(kind, name, _said(getattr(kind, name)))
    for name in _DERIVED:
        if hasattr(kind, name):
            setattr(kind, name, _derived(getattr(kind, name)))
    kind.bind = _bind  # type: ignore[method-assign]
    return kind


def _said(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_private():
            kwargs["private"] = True
        return method(self, *args, **kwargs)

    return made


def _derived(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def derive(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = method(self, *args, **kwargs)
        return made if isinstance(made, _Kept) or not isinstance(made, Runnable) else kept(made)

    return derive


def _bind(self: Any, **kwargs: Any) -> Bound:
    """Bind arguments to the model, as its language has them."""
    return Bound(bound=self, kwargs=kwargs, config={})


class _Kept:
    """What the two kinds of binding share."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """As the class that it is to everybody else."""
        return ["langchain", "schema", "runnable", "RunnableBinding"]


def _within(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        value = method(self, *args, **kwargs)
        return within(pilotlight.private, value) if is_private() else value

    return made


def _keeping(kind: T) -> T:
    for name in _CALLS:
        if hasattr(kind, name):
            setattr(kind, name, _within(getattr(kind, name)))
    for name in _DERIVED:
        if hasattr(Runnable, name):
            setattr(kind, name, _derived(getattr(kind, name)))
    return kind


@_keeping
class Bound(_Kept, _ModelBinding):
    """A model with arguments bound to it."""


@_keeping
class Kept(_Kept, RunnableBinding[Any, Any]):
    """A runnable derived from a model."""


def kept(runnable: Runnable[Any, Any]) -> Kept:
    """Return it so that its calls keep what holds where they are made."""
    return Kept(bound=runnable, kwargs={}, config={})
