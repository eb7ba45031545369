"""The extra sockets of a server, at which the faults of the address are: refused, or TLS.

Owns these sockets, which are opened when they are first asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable

from .door import Door, bind
from .faults import FaultError

Opener = Callable[[socket.socket, ssl.SSLContext], Door]


class Addresses:
    """What an `Address` fault can make an address of."""

    def __init__(self, port: int, opener: Opener) -> None:
        self.port = port  # of the server, where all is well
        self._opener = opener
        self._closed: socket.socket | None = None
        self._tls: Door | None = None

    def closed_port(self) -> int:
        """Return a port that is bound and not listened at, so that nobody else answers there."""
        if self._closed is None:
            self._closed = bind(0)
        return int(self._closed.getsockname()[1])

    def tls_port(self) -> int:
        """Return a port of the same server behind a certificate that nobody knows.

        Raises:
            FaultError: trustme, which makes the certificate, is not installed.
        """
        if self._tls is None:
            certificate = _unknown_certificate()
            self._tls = self._opener(bind(0), certificate)
        return self._tls.port

    async def close(self) -> None:
        if self._closed is not None:
            self._closed.close()
        if self._tls is not None:
            with contextlib.suppress(OSError):
                await self._tls.close()


def _unknown_certificate() -> ssl.SSLContext:
    try:
        import trustme
    except ImportError:
        mend = "pip install 'pilotlight-chaos[tls]'"
        raise FaultError(f"a tls fault needs trustme to make a certificate: {mend}") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
