"""HTTP/1.1 by hand: read one request, write one reply, or break off in the middle.

Owns the bytes.  No HTTP library stands between a fault and the socket, because such
libraries complete bodies, add final chunks and close politely: the opposite of what is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

Json: TypeAlias = dict[str, Any]

JSON_TYPE = "application/json"
MAX_BODY = 64 * 2**20
PORTION = 0.05  # seconds between the portions of a slow drip
REASONS = {each.value: each.phrase for each in HTTPStatus} | {529: "Site Overloaded"}


class BadHttp(Exception):
    """What arrived is not HTTP that we can answer; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """Return the body as a JSON object; raise ValueError if it is none."""
        value = json.loads(self.body or b"{}")
        if not isinstance(value, dict):
            raise ValueError("the body is not a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply.  A str body is sent as it is; anything else as JSON."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()

    def all_headers(self) -> dict[str, str]:
        plain = "text/plain; charset=utf-8"
        guess = plain if isinstance(self.body, str) else JSON_TYPE
        return {"content-type": guess, **self.headers}


def html(body: str, status: int = 200, **headers: str) -> Reply:
    """An HTML page: what proxies and captive portals send where JSON was expected."""
    return Reply(body, status, {"content-type": "text/html; charset=UTF-8", **headers})


@dataclass(frozen=True, slots=True)
class Script:
    """A stream, cut into what comes before the tokens, the tokens, and what comes after."""

    opening: bytes = b""
    pieces: tuple[bytes, ...] = ()
    closing: bytes = b""


@dataclass(slots=True)
class Traffic:
    """What went over the sockets, whatever it meant."""

    connections: int = 0  # accepted, in all
    open: int = 0  # now
    received: int = 0  # bytes from the clients
    sent: int = 0  # bytes to the clients


class Wire:
    """One client connection: reads requests; writes replies whole, in parts, or broken."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gone: asyncio.Event,
        traffic: Traffic,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.gone = gone  # set when the client has closed its side
        self.broken = False  # no further request can be served on this connection
        self.bandwidth: float | None = None  # bytes a second that leave; None: all at once
        self._traffic = traffic

    async def read(self) -> Request | None:
        """Return the next request, or None when the client has no more."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            raise BadHttp("the request head is too long") from error
        line, *rest = head.decode("latin1").split("\r\n")
        parts = line.split(" ")
        if len(parts) != 3:
            raise BadHttp(f"not a request line: {line[:80]!r}")
        pairs = (header.split(":", 1) for header in rest if ":" in header)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        if headers.get("connection", "").lower() == "close":
            self.broken = True
        url = urlsplit(parts[1])
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        return Request(parts[0], unquote(url.path), query, headers, await self._body(headers))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "100-continue" in headers.get("expect", "").lower():
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if "chunked" in headers.get("transfer-encoding", "").lower():
                return await self._chunked_body()
            length = int(headers.get("content-length", "0"))
        except ValueError as error:
            raise BadHttp(f"bad framing: {error}") from error
        if not 0 <= length <= MAX_BODY:
            raise BadHttp(f"a body of {length} bytes")
        return await self._reader.readexactly(length)

    async def _chunked_body(self) -> bytes:
        body = bytearray()
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
            if len(body) > MAX_BODY:
                raise BadHttp("the body is too long")
        while (await self._reader.readline()).strip():
            pass  # trailers
        return bytes(body)

    async def send(self, reply: Reply, *, bodiless: bool = False) -> None:
        """Send a whole reply, as it should be."""
        data = reply.encoded()
        head = _head(reply.status, {**reply.all_headers(), "content-length": str(len(data))})
        await self._put(head if bodiless else head + data)

    async def send_part(self, reply: Reply, share: float = 0.5) -> None:
        """Promise the whole body and send only part of it."""
        data = reply.encoded()
        self.broken = True
        head = _head(reply.status, {**reply.all_headers(), "content-length": str(len(data))})
        await self._put(head + data[: int(len(data) * share)])

    async def start(self, headers: Mapping[str, str], status: int = 200) -> None:
        """Begin a chunked body."""
        await self._put(_head(status, {**headers, "transfer-encoding": "chunked"}))

    async def chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            await self._put(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self, last: bytes = b"") -> None:
        """End a chunked body properly.

        The last data and the final chunk leave in one write, so that a client that hangs up on
        seeing the last event was, for us, served completely.
        """
        data = b"%x\r\n%s\r\n" % (len(last), last) if last else b""
        await self._put(data + b"0\r\n\r\n")

    def cut(self) -> None:
        """Close now (FIN), whatever was promised."""
        self.broken = True
        self._writer.close()

    def reset(self) -> None:
        """Close now with RST in place of FIN."""
        self.broken = True
        reset(self._writer)

    def close(self) -> None:
        self._writer.close()

    async def _put(self, data: bytes) -> None:
        async for portion in paced(data, self.bandwidth):
            self._traffic.sent += len(portion)  # first: who has the bytes finds them counted
            self._writer.write(portion)
            await self._writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection now, with RST in place of FIN."""
    with contextlib.suppress(OSError, AttributeError):  # closed already: nothing to reset
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def paced(data: bytes, bandwidth: float | None) -> AsyncIterator[bytes]:
    """Give data out in portions, so many bytes a second; all at once without a bandwidth."""
    if bandwidth is None:
        yield data
        return
    size = max(1, int(bandwidth * PORTION))
    for begin in range(0, len(data), size):
        portion = data[begin : begin + size]
        await asyncio.sleep(len(portion) / bandwidth)
        yield portion


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    reason = REASONS.get(status, "Unknown")
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin1")
