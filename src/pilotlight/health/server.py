"""One Ollama server, asked in raw HTTP: the `ollama` client drops the fields that matter here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.providers.connection import Connection
from pilotlight.wire.field_types import loads
from pilotlight.wire.tap import current_tap, listening, new_tap

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]


class NotAsExpected(ValueError):
    """The server answered, but not as Ollama does; the message says how."""


class Server:
    """A server's address and key on a shared client.

    `timeout` is httpx's own, for one request; the clocks of a whole visit are the
    tap's that the caller listens with.
    """

    def __init__(
        self, client: httpx.Client, base: str, key: str | None = None, timeout: float = 600.0
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout

    def get(self, path: str) -> Json | None:
        """Return the answer; None where the server has no such endpoint."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Json | None:
        """Return the answer; None for 404, which also says that a model is not there."""
        return self._ask("POST", path, body)

    def optional(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Return the answer, empty where the server can't give it: it may be an old one."""
        try:
            return self._ask("GET" if body is None else "POST", path, body) or {}
        except NotAsExpected:
            return {}

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Json | None:
        response = self._client.request(
            method, self._base + path, json=body, headers=self._headers, timeout=self._timeout
        )
        if response.status_code in (404, 405):
            return None
        said = _json(response)
        if not response.is_success:
            reason = str(said.get("error") or "")[:200]
            raise NotAsExpected(f"status {response.status_code}{reason and ': '}{reason}")
        if said.get("error"):
            raise NotAsExpected(str(said["error"])[:200])
        if not said:
            raise NotAsExpected(f"{path}: not a JSON object")
        return said


def _json(response: httpx.Response) -> Json:
    """Read a body, whatever it is; what is no JSON object is as good as none."""
    try:
        said = loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def connection_of(target: Target) -> Connection | None:
    """Return the way to a target's endpoint; None for one that is not on a wire of ours."""
    connection = getattr(target.provider, "connection", None)
    return connection if isinstance(connection, Connection) else None


def starved() -> bool:
    """Within a visit that was out of time: whether this process had taken the time for itself."""
    tap = current_tap.get()
    return tap is not None and tap.starved


@contextmanager
def visiting(connection: Connection, timeouts: Timeouts) -> Iterator[Any]:
    """Give the connection's client for a visit within these clocks.

    Its transport keeps to the target's own hosts, for checks as for calls.
    Raises ValueError where the address is not known.
    """
    pool = connection.pool
    if pool is None:
        raise ValueError("its address is not known")
    with listening(new_tap(connection.wire, timeouts)):
        yield pool.client()
