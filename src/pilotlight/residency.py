"""Where data may go: the block in which nothing leaves the house, and what counts as home.

Local is proven, not declared.  An Ollama server on a loopback address is local,
unless the model's name or the server's own words say that it runs elsewhere.
Any other server on loopback may be a gateway to the world, so it counts as local
only when its address is listed in the target's `local_addresses`, and only where
every connection to it is pilotlight's own, held to that address.
"""

from __future__ import annotations

import inspect
import ipaddress
import sys
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from pilotlight.coloured import coloured
from pilotlight.core.boundary import ResidencyRule
from pilotlight.core.needs import OPERATIONS, Operation
from pilotlight.providers.ollama_names import is_cloud_name

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """One block that was entered; `frame` names the suspendable function it stands in, 0: none."""

    frame: int


_NONE: Final[frozenset[_Entry]] = frozenset()
_private: ContextVar[frozenset[_Entry]] = ContextVar("pilotlight_private", default=_NONE)
"""The open blocks of this context.  A copy of the context keeps those it was made in: a task
that was started inside a block is private to its end."""

_frames: Final[Counter[int]] = Counter()
"""The generators and coroutines (`id` of the frame) in which a block stands open.

Such a function may be resumed in a context that does not have its block, so what is asked
is also whether one of them is running: it then stands on the stack."""

_frames_lock: Final = threading.Lock()
_SUSPENDABLE: Final = (
    inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)


class private(AbstractContextManager[None]):  # noqa: N801 - used as a decorator
    """Keep every call made inside the block, or in the decorated function, on local targets.

    What counts is where a call is *made*: a coroutine or a stream that was made inside the
    block stays private wherever it is awaited or read.  The block crosses `await`, tasks and
    `asyncio.to_thread`, and stays with a generator that is resumed elsewhere; a thread that
    you start yourself needs `contextvars.copy_context().run`.  Nothing inside can lift it.

    As a decorator for plain functions, coroutine functions, generators and async generators;
    between two items of a generator its reader is not in the block.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []  # one object may be entered by several threads at once

    def __enter__(self) -> None:
        entry = _Entry(_suspendable(sys._getframe(1)))
        if entry.frame:
            with _frames_lock:
                _frames[entry.frame] += 1
        self._entries.append(entry)
        _private.set(_open_here() | {entry})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        here = _open_here()
        entry = self._ended(here, sys._getframe(1))
        self._entries.remove(entry)
        if entry.frame:
            with _frames_lock:
                _frames[entry.frame] -= 1
                if not _frames[entry.frame]:
                    del _frames[entry.frame]
        if entry in here:  # else a generator was ended in another context: that one is not ours
            _private.set(here - {entry})

    def _ended(self, here: frozenset[_Entry], caller: FrameType) -> _Entry:
        """Return the entry that ends now: this context's, or that of the function that ends it."""
        mine = [entry for entry in self._entries if entry in here]
        frame = _suspendable(caller)
        same = [entry for entry in self._entries if entry.frame == frame]
        return [*self._entries, *same, *mine][-1]

    def __call__(self, function: F) -> F:
        """Decorate a function: whatever it calls is private."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with private():
                made = function(*args, **kwargs)
            return _kept(made)

        return cast("F", coloured(function, call))


def is_private(asked: bool | None = None, route: bool = False) -> bool:
    """Tell whether a call is private: by its own word, its route's, or a block around it."""
    return bool(asked) or route or bool(_private.get()) or (bool(_frames) and _in_open_frame())


def _open_here() -> frozenset[_Entry]:
    return _private.get() or _NONE


def _in_open_frame() -> bool:
    """Tell whether one of the functions that are running here stands in a block."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if id(frame) in _frames:
            return True
        frame = frame.f_back
    return False


def _suspendable(frame: FrameType | None) -> int:
    """Return the `id` of the frame that a `with` stands in, if it may be suspended; else 0."""
    while frame is not None and frame.f_globals.get("__name__") == "contextlib":
        frame = frame.f_back  # an ExitStack enters and leaves in the place of its owner
    if frame is None or not frame.f_code.co_flags & _SUSPENDABLE:
        return 0
    return id(frame)


# What a decorated function returns may still have to run: its steps are private, too.


def _kept(made: Any) -> Any:
    """Return a coroutine or a generator with the block around all that it runs."""
    if inspect.isgenerator(made):
        return _steps(made)
    if inspect.iscoroutine(made):
        return _awaited(made)
    return _asteps(made) if inspect.isasyncgen(made) else made


async def _awaited(made: Coroutine[Any, Any, Any]) -> Any:
    with private():
        return await made


def _steps(items: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run each step inside a block, and the time between two of them outside."""
    step: Callable[[], Any] = partial(next, items)
    try:
        while True:
            with private():
                try:
                    item = step()
                except StopIteration as done:
                    return done.value
            try:
                step = partial(items.send, (yield item))
            except GeneratorExit:
                raise
            except BaseException as error:
                step = partial(items.throw, error)
    finally:
        with private():
            items.close()


async def _asteps(items: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
    """As `_steps`, for async generators."""
    step: Callable[[], Any] = partial(items.asend, None)
    try:
        while True:
            with private():
                try:
                    item = await step()
                except StopAsyncIteration:
                    return
            try:
                step = partial(items.asend, (yield item))
            except GeneratorExit:
                raise
            except BaseException as error:
                step = partial(items.athrow, error)
    finally:
        with private():
            await items.aclose()


# What counts as home.


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def proven_local(
    provider: str, model: str, base_url: str, local_addresses: Collection[str] = ()
) -> bool:
    """Tell whether calls to this endpoint stay at home; unknown means no."""
    return refusing_rule(provider, model, base_url, local_addresses) is None


def refusing_rule(
    provider: str, model: str, base_url: str, local_addresses: Collection[str] = ()
) -> ResidencyRule | None:
    """Return the rule by which this endpoint is not at home; None: it is."""
    host = urlsplit(base_url).hostname or ""
    ollama = provider.startswith("ollama")
    if ollama and is_cloud_name(model):
        return ResidencyRule.CLOUD_NAME
    if host not in local_addresses:
        if not is_loopback(host):
            return ResidencyRule.NOT_LOCAL
        if not ollama:
            return ResidencyRule.UNLISTED_SERVER
    return ResidencyRule.FOREIGN_SOCKETS if "chat" in unwatched(provider) else None


def unwatched(provider: str) -> frozenset[Operation]:
    """Return the operations of a provider that go over connections which are not pilotlight's."""
    if provider.startswith("ollama"):
        return frozenset()
    from pilotlight.providers.litellm_clients import kind_of  # brings httpx

    return frozenset(each for each in OPERATIONS if kind_of(provider, each) is None)
