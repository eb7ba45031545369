"""JSON posted over a pool's connections, without the weight of a general HTTP client.

An httpx request costs more than all that it carries here: one address, headers that are
always the same, a body that is known.  So address and headers are put together once, and the
request goes straight to the connections, past the same tap and clocks, and the same gate for
hosts, as every other.  What is raised is httpx's own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from pilotlight.errors import ProviderFault
from pilotlight.wire import field_types
from pilotlight.wire.clocks import RequestMonitor
from pilotlight.wire.tap import Tap, current_tap
from pilotlight.wire.transport import (
    HTTPCORE_ERRORS,
    AsyncBody,
    Body,
    HostRefused,
    limits,
    reraise,
)

if TYPE_CHECKING:
    from pilotlight.wire.pool import Pool

UNTAPPED: Final = {"connect": 10.0, "read": 600.0, "write": 600.0}  # seconds
_NONE: Final[Mapping[str, str]] = {}
_NO_LIMIT: Final[Mapping[str, float | None]] = {}


class Said:
    """What came back: status and headers, and the body once it has been read."""

    __slots__ = ("body", "content", "headers", "status_code")

    def __init__(self, response: httpcore.Response, body: Any) -> None:
        self.status_code = response.status
        self.headers = response.headers
        self.body = body
        self.content = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def read(self) -> bytes:
        """Read the body to its end, and give the connection back."""
        try:
            self.content = b"".join(self.body)
        finally:
            self.body.close()
        return self.content

    async def aread(self) -> bytes:
        """The same for async."""
        try:
            self.content = b"".join([piece async for piece in self.body])
        finally:
            await self.body.aclose()
        return self.content

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        return iter(self.body)

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The same for async."""
        return aiter(self.body)


class Post:
    """One place on one server that JSON is posted to.

    `headers` are sent with every request, besides those that HTTP wants, and `more` with one, in
    the place of those of the same names.
    """

    def __init__(self, pool: Pool, url: str, headers: Mapping[str, str] = _NONE) -> None:
        parsed = httpx.URL(url)
        self.url = url
        self._pool = pool
        self._path = parsed.path
        self._host = parsed.raw_host.decode("ascii")
        self._url = httpcore.URL(
            scheme=parsed.raw_scheme,
            host=parsed.raw_host,
            port=parsed.port,
            target=parsed.raw_path,
        )
        self.headers = {
            "host": parsed.netloc.decode("ascii"),
            "accept": "application/json",
            "accept-encoding": "identity",  # a compressed body can't be read in passing
            "connection": "keep-alive",
            "content-type": "application/json",
            "user-agent": "pilotlight",
            **headers,
        }
        self._headers = _raw(self.headers)

    def send(
        self, body: bytes, tap: Tap | None, *, streaming: bool, more: Mapping[str, str] = _NONE
    ) -> Said:
        """Send a request, and return its answer with the body still to be read."""
        monitor = self._begin(tap, streaming)
        try:
            response = self._pool.connections().handle_request(self._request(body, monitor, more))
        except HTTPCORE_ERRORS as error:
            reraise(error, monitor)
        stream = Body(response, monitor)
        return Said(response, stream)

    async def asend(
        self, body: bytes, tap: Tap | None, *, streaming: bool, more: Mapping[str, str] = _NONE
    ) -> Said:
        """The same for async."""
        monitor = self._begin(tap, streaming)
        connections = await self._pool.aconnections()
        try:
            response = await connections.handle_async_request(self._request(body, monitor, more))
        except HTTPCORE_ERRORS as error:
            reraise(error, monitor)
        stream = AsyncBody(response, monitor)
        return Said(response, stream)

    def _begin(self, tap: Tap | None, streaming: bool) -> RequestMonitor | None:
        if self._host not in self._pool.allowed_hosts:
            if tap is not None:
                tap.refused_host = self._host
            raise HostRefused(f"{self._host} is not one of this target's hosts")
        if tap is None:
            return None
        monitor = RequestMonitor(tap, self._path, streaming=streaming)
        monitor.check()
        return monitor

    def _request(
        self, body: bytes, monitor: RequestMonitor | None, more: Mapping[str, str]
    ) -> httpcore.Request:
        length = (b"content-length", str(len(body)).encode("ascii"))
        timeout = UNTAPPED if monitor is None else limits(_NO_LIMIT, monitor)
        headers = self._headers
        if not self.headers.keys().isdisjoint(more):
            headers = _raw({n: v for n, v in self.headers.items() if n not in more})
        return httpcore.Request(
            b"POST",
            self._url,
            headers=[*headers, length, *_raw(more)],
            content=body,
            extensions={"timeout": timeout},
        )


class _Client:
    """A server's base address and headers; `more` returns those of one request."""

    def __init__(
        self,
        pool: Pool,
        base: str,
        headers: Mapping[str, str] = _NONE,
        more: Callable[[], Mapping[str, str]] = lambda: _NONE,
    ) -> None:
        self._pool = pool
        self._base = base
        self._headers = headers
        self._more = more
        self._posts: dict[str, Post] = {}

    def _at(self, path: str) -> Post:
        """Return the place, made once."""
        if (found := self._posts.get(path)) is None:
            found = self._posts[path] = Post(self._pool, self._base + path, self._headers)
        return found


class JsonClient(_Client):
    """Posts JSON as an httpx client does, but lighter; nothing else, and never elsewhere."""

    def post(self, path: str, *, json: Any, follow_redirects: bool = False) -> Said:
        """Post and read the whole answer."""
        answer = self._at(path).send(
            dumped(json), current_tap.get(), streaming=False, more=self._more()
        )
        answer.read()
        return answer

    @contextmanager
    def stream(
        self, _method: str, path: str, *, json: Any, follow_redirects: bool = False
    ) -> Iterator[Said]:
        """Post, and give the connection back at the end of the block."""
        answer = self._at(path).send(
            dumped(json), current_tap.get(), streaming=True, more=self._more()
        )
        try:
            yield answer
        finally:
            answer.body.close()


class AsyncJsonClient(_Client):
    """The same for async."""

    async def post(self, path: str, *, json: Any, follow_redirects: bool = False) -> Said:
        """Post and read the whole answer."""
        answer = await self._at(path).asend(
            dumped(json), current_tap.get(), streaming=False, more=self._more()
        )
        await answer.aread()
        return answer

    @asynccontextmanager
    async def stream(
        self, _method: str, path: str, *, json: Any, follow_redirects: bool = False
    ) -> AsyncIterator[Said]:
        """Post, and give the connection back at the end of the block."""
        answer = await self._at(path).asend(
            dumped(json), current_tap.get(), streaming=True, more=self._more()
        )
        try:
            yield answer
        finally:
            await answer.body.aclose()


def dumped(said: Any) -> bytes:
    """Return the JSON as httpx and the SDKs write it; bytes are JSON already.

    Raises TypeError or ValueError for what JSON can't hold.
    """
    if type(said) is bytes:
        return said
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def parsed(data: bytes) -> dict[str, Any]:
    """Read one JSON object.

    Raises ProviderFault, which never quotes JSON: that may hold what was said.
    """
    try:
        said = field_types.loads(data)
    except (ValueError, RecursionError):
        text = data.decode("utf-8", "replace").strip()
        if text.startswith("{") and not text.endswith("}"):
            evidence = f"JSON that breaks off after {len(data)} bytes"
            raise ProviderFault("stream_truncated", evidence=evidence) from None
        evidence = (
            f"broken JSON, {len(data)} bytes" if text[:1] == "{" else f"not JSON: {text[:80]!r}"
        )
        raise ProviderFault("malformed_response", evidence=evidence) from None
    if not isinstance(said, dict):
        evidence = f"a JSON {type(said).__name__} in place of an object"
        raise ProviderFault("malformed_response", evidence=evidence)
    return said


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
