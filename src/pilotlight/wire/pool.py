"""The way onto the wire: one pool of connections for each target.

Whoever talks to a model, litellm, an SDK or the user's own code, does it over a
client from here.  So the attempt's `Tap` sees what is really said, the attempt's
clocks are kept, and no host but the target's can be reached.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any, Final, Self
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary, WeakSet, finalize

import httpcore
import httpx

from pilotlight.wire.connections import AsyncConnections, Connections
from pilotlight.wire.network import AsyncBackend, Backend, Pin
from pilotlight.wire.played import stages
from pilotlight.wire.tap import Tap, Wire
from pilotlight.wire.transport import AsyncWireTransport, HostRefused, WireTransport

__all__ = ["AsyncSharedClient", "HostRefused", "Pool", "SharedClient"]

KEEPALIVE: Final = 30.0  # seconds that an idle connection is kept
# For requests without a tap; those with one have the attempt's own clocks.
TIMEOUT: Final = httpx.Timeout(600.0, connect=10.0, pool=None)
# Compressed bodies could not be read in passing, and compression holds tokens back.
HEADERS: Final = {"accept-encoding": "identity"}


class SharedClient(httpx.Client):
    """A client that others may close without harm: only its pool closes connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the connections open."""

    def close(self) -> None:
        """Leave the connections open."""


class AsyncSharedClient(httpx.AsyncClient):
    """The same for async."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Leave the connections open."""

    async def aclose(self) -> None:
        """Leave the connections open."""


class Pool:
    """The connections to one target, for all threads and event loops of this process.

    `allowed_hosts` are the only hosts that can be reached; by default the origin's.
    With `proxy`, a proxy named in the environment is used and the environment's
    CA bundle is honoured; local targets are always reached directly, and with a `pin`
    only at the addresses that it vouches for.
    """

    def __init__(
        self,
        origin_url: str,
        *,
        wire: Wire,
        allowed_hosts: Iterable[str] | None = None,
        verify: bool | ssl.SSLContext = True,
        proxy: bool = False,
        pin: Pin | None = None,
    ) -> None:
        self.origin = httpx.URL(origin_url)
        self.wire = wire
        if self.origin.scheme not in ("http", "https") or not self.origin.host:
            raise ValueError(f"{origin_url!r} is not an http:// or https:// URL")
        hosts = (self.origin.host,) if allowed_hosts is None else allowed_hosts
        self.allowed_hosts = frozenset(_ascii(host) for host in hosts)
        self.handed: dict[object, object] = {}  # SDK clients made for this pool
        self._verify = verify
        self._trust_env = proxy
        self._pin = pin
        self._proxy = _proxy_for(self.origin) if proxy else None
        self._ssl: ssl.SSLContext | None = None
        self._retired = False
        self._start()
        self._client = SharedClient(
            transport=WireTransport(self), trust_env=False, timeout=TIMEOUT, headers=HEADERS
        )
        self._aclient = AsyncSharedClient(
            transport=AsyncWireTransport(self), trust_env=False, timeout=TIMEOUT, headers=HEADERS
        )
        _POOLS.add(self)

    def _start(self) -> None:
        """Begin without any connection."""
        self._lock = threading.Lock()
        self._sync: Connections | None = None
        self._finish: finalize[..., Pool] | None = None  # closes them with the pool
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopConnections] = (
            WeakKeyDictionary()
        )

    # Clients.

    def client(self) -> SharedClient:
        """Return the client for all threads; it writes to `current_tap`."""
        return self._client

    def aclient(self) -> AsyncSharedClient:
        """Return the async client; each event loop has connections of its own behind it."""
        return self._aclient

    def bound(self, tap: Tap, transport: httpx.BaseTransport | None = None) -> SharedClient:
        """Return a light client for one attempt, which may be used in any thread."""
        return SharedClient(
            transport=transport or WireTransport(self, tap),
            trust_env=False,
            timeout=TIMEOUT,
            headers=HEADERS,
        )

    def abound(
        self, tap: Tap, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncSharedClient:
        """Return a light async client for one attempt."""
        return AsyncSharedClient(
            transport=transport or AsyncWireTransport(self, tap),
            trust_env=False,
            timeout=TIMEOUT,
            headers=HEADERS,
        )

    def close(self) -> None:
        """Close the connections of the threads; a later request opens new ones."""
        with self._lock:
            finish, self._finish, self._sync = self._finish, None, None
        if finish is not None:
            finish()

    def retire(self) -> None:
        """Keep no connection from here on: idle ones are closed now, others after their request.

        May be called in any thread; each event loop closes its own.
        """
        with self._lock:
            self._retired = True
            connections, loops = self._sync, list(self._loops.items())
        if connections is not None:
            connections.close()
        for loop, entry in loops:
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(entry.connections.retire)

    async def aclose(self) -> None:
        """Close the connections of this event loop, and those of the threads."""
        self.close()
        entry = self._loops.pop(asyncio.get_running_loop(), None)
        if entry is not None:
            await entry.keeper.aclose()

    # Connections, for the transports.

    def connections(self) -> Connections:
        """Return the connections that the threads share."""
        if self._sync is not None:
            return self._sync
        with self._lock:
            if self._sync is None:
                self._sync = Connections(
                    self._maker(
                        httpcore.ConnectionPool, httpcore.HTTPProxy, httpcore.SOCKSProxy, Backend
                    )
                )
                # Not `__del__`: of a heap of garbage the sockets might be finalised first.
                self._finish = finalize(self, self._sync.close)
                self._finish.atexit = False
                if self._retired:
                    self._sync.close()
            return self._sync

    async def aconnections(self) -> AsyncConnections:
        """Return the connections of the running loop, which end with it."""
        loop = asyncio.get_running_loop()
        entry = self._loops.get(loop)
        if entry is None:
            with self._lock:  # other threads may have loops of their own
                for old in [old for old in self._loops if old.is_closed()]:
                    del self._loops[old]  # closed without shutting its generators down
                made = AsyncConnections(
                    self._maker(
                        httpcore.AsyncConnectionPool,
                        httpcore.AsyncHTTPProxy,
                        httpcore.AsyncSOCKSProxy,
                        AsyncBackend,
                    )
                )
                if self._retired:
                    made.retire()
                entry = self._loops[loop] = _LoopConnections(made)
            await anext(entry.keeper)
        return entry.connections

    def _maker(self, direct: Any, http_proxy: Any, socks_proxy: Any, backend: Any) -> Any:
        """Return what makes connections, of either colour, over our own backend."""
        if self._ssl is None and self.origin.scheme == "https":
            self._ssl = _ssl_context(self._verify, trust_env=self._trust_env)
        options: dict[str, Any] = {"ssl_context": self._ssl, "keepalive_expiry": KEEPALIVE}
        proxy = None if stages else self._proxy
        if proxy is None:
            return direct(**options, network_backend=backend(self.allowed_hosts, self._pin))
        # All sockets go to the proxy; which hosts it is asked for, the transport checks.
        options["network_backend"] = backend(frozenset({_ascii(proxy.url.host)}))
        options["proxy_url"] = str(proxy.url)
        options["proxy_auth"] = proxy.raw_auth
        if proxy.url.scheme.startswith("socks"):
            return socks_proxy(**options)
        return http_proxy(**options)

    def _forked(self) -> None:
        """Part, in a forked child, with what belongs to the parent.

        The threads' sockets are closed, which takes only the child's copies away.  The
        loops' connections are kept aside: closing them would take the parent's sockets
        out of the poller that the two processes share.
        """
        inherited, self._inherited = self._sync, self._loops
        if self._finish is not None:
            self._finish.detach()  # a thread that is no more may hold their lock
        self._start()
        if inherited is not None:
            # Nor through the pool itself.
            for connection in inherited.connections:
                connection.close()


class _LoopConnections:
    """One event loop's connections, closed when the loop shuts down its async generators."""

    def __init__(self, connections: AsyncConnections) -> None:
        self.connections = connections
        self.keeper = _keep(connections)


async def _keep(connections: AsyncConnections) -> AsyncGenerator[None]:
    """Wait, once started, for the end of the loop (`asyncio.run` ends these generators)."""
    try:
        yield
    finally:
        await connections.aclose()


def _ascii(host: str) -> str:
    """Return a host as it stands in a request's URL: lower case, IDNA-encoded."""
    return httpx.URL(scheme="http", host=host).raw_host.decode("ascii")


def _ssl_context(verify: bool | ssl.SSLContext, *, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    return httpx.create_ssl_context(verify=verify, trust_env=trust_env)


def _proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for this URL; never for a local one."""
    if _is_local(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return None
    return httpx.Proxy(found if "://" in found else f"http://{found}")


def _is_local(host: str) -> bool:
    """Tell whether a host is this machine or in a private network, as far as its name tells."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


_POOLS: Final[WeakSet[Pool]] = WeakSet()
"""Every living pool, only so that a forked child can reach them."""


def close_idle() -> None:
    """Close the kept connections of all threads, so that each is opened anew."""
    for pool in list(_POOLS):
        pool.close()


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool._forked()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
