"""Where data may go: the block in which nothing leaves the house, and what counts as home.

Local is proven, not declared.  An Ollama server on a loopback address is local,
unless the model's name or the server's own words say that it runs elsewhere.
Any other server on loopback may be a gateway to the world, so it counts as local
only when its address is listed in the target's `local_addresses`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

from pilotlight.core.boundary import ResidencyRule
from pilotlight.providers.ollama_names import is_cloud_name

_private: ContextVar[bool] = ContextVar("pilotlight_private", default=False)


@contextmanager
def private() -> Iterator[None]:
    """Keep every call inside the block on targets that are proven local.

    Crosses `await` and `asyncio.to_thread`; a thread you start yourself needs
    `contextvars.copy_context().run`.  Nothing inside the block can lift it.
    """
    token = _private.set(True)
    try:
        yield
    finally:
        _private.reset(token)


def is_private(asked: bool | None = None, route: bool = False) -> bool:
    """Tell whether a call is private: by its own word, its route's, or the block around it."""
    return bool(asked) or route or _private.get()


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
    if host in local_addresses:
        return None
    if not is_loopback(host):
        return ResidencyRule.NOT_LOCAL
    return None if ollama else ResidencyRule.UNLISTED_SERVER
