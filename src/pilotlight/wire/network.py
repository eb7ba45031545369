"""The last gate before a socket: no host but the allowed ones, no wait beyond the clocks.

Wraps httpcore's own backends.  Every connection passes `connect_tcp` here, so a
redirect, an absolute URL or a confused library cannot reach another host.

A little long, because the two colours stand side by side to be compared.
"""

# ruff: noqa: ASYNC109 - the signatures are httpcore's

from __future__ import annotations

import asyncio
import ipaddress
import select
import socket
import ssl
from collections.abc import Collection, Iterable
from typing import Any, Final

import httpcore

from pilotlight.wire.played import stages
from pilotlight.wire.played_streams import AsyncPlayedStream, PlayedStream
from pilotlight.wire.socket_operation import Allowance, Operation, Pulse

Options = Iterable[httpcore.SOCKET_OPTION] | None

LOOPBACK: Final = "127.0.0.1"
_PIECE: Final = 64 * 1024  # a peer that reads slowly must not stretch one write without end


class Refused(httpcore.ConnectError):
    """A connection to a host that is not the target's; nothing was sent."""


class AddressMismatch(Refused):
    """A name of this house leads out of it; nothing was sent."""


class Pin:
    """Where a local target's host name leads: looked up once, and home or nowhere.

    Every address must be loopback or in `listed` (addresses and networks).  An answer
    that fits is kept for the life of the pin, so that a name can't lead elsewhere later
    (DNS rebinding); one that does not is refused as a whole, and nothing of it is kept.
    """

    def __init__(self, host: str, listed: Collection[str] = ()) -> None:
        self._host = host
        self._listed = [network for each in listed if (network := _network(each))]
        self._kept: tuple[str, ...] = ()

    def addresses(self, port: int) -> Iterable[str]:
        """Return the addresses to connect to; raises Strayed, or ConnectError for no answer."""
        return self._kept or self._checked(_addresses(self._host, port))

    async def aaddresses(self, port: int) -> Iterable[str]:
        """The same without blocking the event loop."""
        if self._kept:
            return self._kept
        return self._checked(await asyncio.to_thread(_addresses, self._host, port))

    def _checked(self, found: list[str]) -> tuple[str, ...]:
        astray = [address for address in found if not self._at_home(address)]
        if astray:
            raise AddressMismatch(
                f"{self._host} leads to {astray[0]}, which is neither loopback nor in "
                "local_addresses; nothing was sent"
            )
        self._kept = self._kept or tuple(found)  # the first answer holds
        return self._kept

    def _at_home(self, found: str) -> bool:
        address = _address(found)
        if address is None:
            return False
        return address.is_loopback or any(address in network for network in self._listed)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; None for a name."""
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Read a network, or the network of one address; None for a name."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def pin_for(host: str, listed: Collection[str] = ()) -> Pin | None:
    """Return the pin of a local target's host; an address needs none."""
    return None if _address(host) else Pin(host, listed)


def _begin(host: str, allowed: frozenset[str], timeout: float | None) -> None:
    """Refuse a foreign host; start the connect clock for a good one."""
    monitor = timeout.monitor if isinstance(timeout, Allowance) else None
    if host not in allowed:
        if monitor is not None:
            monitor.tap.refused_host = host
        raise Refused(f"{host} is not one of this target's hosts")
    if monitor is not None:
        monitor.connecting()


def _awaits_body(buffer: bytes) -> bool:
    """Tell the head of a request, which httpcore writes by itself, and its body after it."""
    return buffer.endswith(b"\r\n\r\n") and buffer.startswith(b"POST ")


def _is_readable(sock: socket.socket) -> bool:
    """Tell whether there is something to read: of an idle connection, the server's end."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class Stream(httpcore.NetworkStream):
    """A socket whose every operation looks at the clocks; head and body go out together."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._head = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read within what is left of the clocks."""
        if self._head:
            self._send(timeout)
        operation = Operation(timeout, httpcore.ReadTimeout)
        try:
            with operation as seconds:
                return self._inner.read(max_bytes, seconds)
        except httpcore.ReadTimeout:
            if not operation.late:
                raise
        with operation.again() as seconds:
            return self._inner.read(max_bytes, seconds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write in pieces, each within what is left of the clocks."""
        self._head += buffer
        if buffer and not _awaits_body(buffer):
            self._send(timeout)

    def _send(self, timeout: float | None) -> None:
        buffer, self._head = self._head, b""
        for start in range(0, len(buffer), _PIECE):
            with Operation(timeout, httpcore.WriteTimeout) as seconds:
                self._inner.write(buffer[start : start + _PIECE], seconds)

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Shake hands on the clock that the connection started."""
        with Operation(timeout, httpcore.ConnectTimeout, connecting=True) as seconds:
            return Stream(self._inner.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        """Tell what the socket tells."""
        return self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Opens sockets to the allowed hosts only."""

    def __init__(self, allowed: frozenset[str], pin: Pin | None = None) -> None:
        self._allowed = allowed
        self._pin = pin
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.NetworkStream:
        """Connect to an allowed host."""
        _begin(host, self._allowed, timeout)
        if stages:
            with Operation(timeout, httpcore.ConnectTimeout, connecting=True) as seconds:
                inner = self._inner.connect_tcp(LOOPBACK, stages[-1].port, seconds)
            return Stream(PlayedStream(inner, stages[-1], host, port))
        # One address at a time: the socket module would give each of them the whole time.
        with Operation(timeout, httpcore.ConnectTimeout, connecting=True):
            addresses = list(self._pin.addresses(port) if self._pin else _addresses(host, port))
        for number, address in enumerate(addresses, 1):
            try:
                with Operation(timeout, httpcore.ConnectTimeout, connecting=True) as seconds:
                    return Stream(
                        self._inner.connect_tcp(
                            address, port, seconds, local_address, socket_options
                        )
                    )
            except httpcore.ConnectError:
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError(f"{host} has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> httpcore.NetworkStream:
        """Refuse."""
        raise Refused("unix sockets are not used")


def _addresses(host: str, port: int) -> list[str]:
    """Look the host up; the cause of the error is the resolver's."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(error) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class AsyncStream(httpcore.AsyncNetworkStream):
    """The same for async."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, pulse: Pulse) -> None:
        self._inner = inner
        self._pulse = pulse
        self._head = b""
        self._socket: socket.socket | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read within what is left of the clocks."""
        if self._head:
            await self._send(timeout)
        operation = Operation(timeout, httpcore.ReadTimeout, self._pulse)
        try:
            with operation as seconds:
                return await self._inner.read(max_bytes, seconds)
        except httpcore.ReadTimeout:
            if not operation.late:
                raise
        with operation.again() as seconds:
            return await self._inner.read(max_bytes, seconds)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write in pieces, each within what is left of the clocks."""
        self._head += buffer
        if buffer and not _awaits_body(buffer):
            await self._send(timeout)

    async def _send(self, timeout: float | None) -> None:
        buffer, self._head = self._head, b""
        for start in range(0, len(buffer), _PIECE):
            with Operation(timeout, httpcore.WriteTimeout, self._pulse) as seconds:
                await self._inner.write(buffer[start : start + _PIECE], seconds)

    async def aclose(self) -> None:
        """Close the socket."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands on the clock that the connection started."""
        try:
            with Operation(
                timeout, httpcore.ConnectTimeout, self._pulse, connecting=True
            ) as seconds:
                inner = await self._inner.start_tls(ssl_context, server_hostname, seconds)
        except asyncio.CancelledError:  # at a failure httpcore does it
            await self.aclose()
            raise
        return AsyncStream(inner, self._pulse)

    def get_extra_info(self, info: str) -> Any:
        """Tell what the socket tells; anyio asks it for everything each time."""
        if info != "is_readable":
            return self._inner.get_extra_info(info)
        self._socket = self._socket or self._inner.get_extra_info("socket")
        return self._socket is None or _is_readable(self._socket)


async def _home(pin: Pin, port: int, timeout: float | None, pulse: Pulse) -> list[str]:
    """Look a local name up within the time that connecting may take."""
    with Operation(timeout, httpcore.ConnectTimeout, pulse, connecting=True) as seconds:
        try:
            async with asyncio.timeout(seconds):
                return list(await pin.aaddresses(port))
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not found in time") from None


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """The same for async; anyio tries a host's addresses in parallel within one time limit."""

    def __init__(self, allowed: frozenset[str], pin: Pin | None = None) -> None:
        self._allowed = allowed
        self._pin = pin
        self._inner = httpcore.AnyIOBackend()
        self._pulse = Pulse()  # a backend is of one event loop

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an allowed host."""
        _begin(host, self._allowed, timeout)
        if stages:
            inner = await self._inner.connect_tcp(LOOPBACK, stages[-1].port)
            return AsyncStream(AsyncPlayedStream(inner, stages[-1], host, port), self._pulse)
        addresses = (
            [host] if self._pin is None else await _home(self._pin, port, timeout, self._pulse)
        )
        for number, address in enumerate(addresses, 1):
            try:
                return await self._connect(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                if number == len(addresses):
                    raise
        raise httpcore.ConnectError(f"{host} has no address")

    async def _connect(
        self, address: str, port: int, timeout: float | None, *how: Any
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one address, and again if it was this process that had no time for it."""
        while True:
            operation = Operation(timeout, httpcore.ConnectTimeout, self._pulse, connecting=True)
            try:
                with operation as seconds:
                    inner = await self._inner.connect_tcp(address, port, seconds, *how)
                return AsyncStream(inner, self._pulse)
            except httpcore.ConnectTimeout:
                if not (isinstance(timeout, Allowance) and timeout.monitor.reconnects()):
                    raise

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> httpcore.AsyncNetworkStream:
        """Refuse."""
        raise Refused("unix sockets are not used")
