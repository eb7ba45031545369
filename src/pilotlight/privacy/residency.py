"""Where data may go: the block in which nothing leaves the house, and what counts as home.

Local is proven, not declared.  An Ollama server on a loopback address is local,
unless the model's name or the server's own words say that it runs elsewhere.
Any other server on loopback may be a gateway to the world, so it counts as local
only when its address is listed in the target's `local_addresses`, and only where
every connection to it is pilotlight's own, held to that address.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from pilotlight.providers.ollama.names import is_cloud_name
from pilotlight.scopes.blocks import Blocks, Entry
from pilotlight.scopes.call_colour import coloured
from pilotlight.scopes.within import within
from pilotlight.vocabulary.operations import OPERATIONS, Operation
from pilotlight.vocabulary.residency_rules import ResidencyRule

F = TypeVar("F", bound=Callable[..., Any])


PRIVATE: Final[Blocks[bool]] = Blocks("pilotlight_private")
"""The open blocks of `private`."""
_private: Final = PRIVATE.here  # what a context knows of them


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
        self._entries: list[Entry[bool]] = []  # one object may be entered by several at once

    def __enter__(self) -> None:
        PRIVATE.enter(True, self._entries, sys._getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        PRIVATE.leave(self._entries, sys._getframe(1))

    def __call__(self, function: F) -> F:
        """Decorate a function: whatever it calls is private."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with private():
                made = function(*args, **kwargs)
            return within(private, made)  # its steps, too

        return cast("F", coloured(function, call))


def is_private(asked: bool | None = None, route: bool = False) -> bool:
    """Tell whether a call is private: by its own word, its route's, or a block around it."""
    return bool(asked) or route or bool(PRIVATE)


# What counts as home.


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
    if provider.startswith("ollama") or provider == "automatic1111":
        return frozenset()
    from pilotlight.providers.litellm.clients import kind_of  # brings httpx

    return frozenset(each for each in OPERATIONS if kind_of(provider, each) is None)
