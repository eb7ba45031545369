"""Pulling a model: with progress, resumed after a break, each model once at a time.

The server does the fetching and keeps what it has of a broken pull, so that to ask
again is to resume.  Only the status `success` means that the model is there: what goes
wrong later than the first line is a line `{"error": ...}` under status 200, or silence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pilotlight.core.fork import GATE
from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.errors import PullFailed
from pilotlight.health.server import connection_of, visiting
from pilotlight.plain import logger
from pilotlight.providers.connection import Connection
from pilotlight.providers.ollama.names import display_name, is_cloud_name
from pilotlight.wire.field_types import loads

if TYPE_CHECKING:
    import httpx

BREAKS: Final = 5  # broken connections in a row, without a byte between them
SILENCE: Final = 600.0  # seconds without a line; a large model's checksum takes minutes
SULK: Final = 600.0  # seconds between two attempts in the background
_LONGEST_LINE: Final = 1 << 20  # bytes; a line of progress has a few hundred
_LIMITS: Final = Timeouts(connect=5.0, first_token=None, between_tokens=None, total=None)

_log = logger("pilotlight.health")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is; bytes of all layers known so far."""

    status: str
    completed: int = 0
    total: int = 0


Watcher = Callable[[Progress], None]


class _Broken(Exception):
    """The stream ended before its last word."""


class _Unheard(_Broken):
    """There was no connection."""


@dataclass(slots=True, eq=False)
class _Flight:
    """One pull under way, and those who wait for it."""

    watchers: list[Watcher] = field(default_factory=list)
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    failure: str = "it was interrupted"
    succeeded: bool = False

    @property
    def completed(self) -> int:
        return sum(completed for completed, _ in self.layers.values())

    def note(self, said: dict[str, Any]) -> None:
        """Take note of a line and tell the watchers."""
        if isinstance(digest := said.get("digest"), str):
            self.layers[digest] = (_whole(said.get("completed")), _whole(said.get("total")))
        total = sum(total for _, total in self.layers.values())
        progress = Progress(str(said.get("status") or ""), self.completed, total)
        for watch in tuple(self.watchers):
            watch(progress)


class Pulls:
    """The pulls of a process: of each model on each server one at a time; thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self.reset()

    def reset(self) -> None:
        """Forget all; a pull under way is let be."""
        self._lock = threading.Lock()
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._tried: dict[tuple[str, str], float] = {}

    def pull(
        self, connection: Connection, model: str | None = None, watch: Watcher | None = None
    ) -> None:
        """Pull a model (by default the target's) and return when it is there.

        Whoever asks for one that is being pulled waits for that.  Raises PullFailed.
        """
        name = model or connection.spec.bare_model
        if is_cloud_name(name):
            raise PullFailed(name, "it runs in Ollama's cloud, there is nothing to pull")
        key = connection.base_url, display_name(name).lower()
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
            if watch is not None:
                flight.watchers.append(watch)
        if leads:
            self._lead(connection, name, flight, key)
            return
        flight.done.wait()
        if not flight.succeeded:
            raise PullFailed(name, flight.failure)

    def _lead(
        self, connection: Connection, name: str, flight: _Flight, key: tuple[str, str]
    ) -> None:
        try:
            self._persist(connection, name, flight)
            flight.succeeded = True
        except PullFailed as failed:
            flight.failure = failed.reason
            raise
        finally:
            with self._lock:
                self._flights.pop(key, None)
            flight.done.set()

    def _persist(self, connection: Connection, name: str, flight: _Flight) -> None:
        """Ask again after each break, as long as there is progress between them.

        A server that is not there when first asked is no break: that is told at once.
        """
        breaks, had = 0, -1
        while True:
            try:
                return _stream(connection, name, flight)
            except _Broken as broken:
                if had < 0 and isinstance(broken, _Unheard):
                    raise PullFailed(name, str(broken)) from broken
                breaks = 0 if flight.completed > had else breaks + 1
                had = max(had, flight.completed)
                if breaks >= BREAKS:
                    raise PullFailed(name, str(broken)) from broken
            self._sleep(min(30.0, 2.0**breaks))

    def in_background(self, target: Target, done: Callable[[], None]) -> bool:
        """Pull a target's model in a thread of its own; tell whether one was started."""
        connection = connection_of(target)
        if connection is None:
            return False
        key = connection.base_url, display_name(connection.spec.bare_model).lower()
        with self._lock:
            last = self._tried.get(key)
            if key in self._flights or (last is not None and self._clock() - last < SULK):
                return False
            self._tried[key] = self._clock()

        def work() -> None:
            _log.warning("%s: %s is missing: pulling it", connection.spec.name, key[1])
            try:
                self.pull(connection)
            except PullFailed as failed:
                _log.warning("%s: %s", connection.spec.name, failed)
            else:
                _log.warning("%s: %s is pulled", connection.spec.name, key[1])
                done()

        try:
            threading.Thread(target=work, name="pilotlight-pull", daemon=True).start()
        except RuntimeError:  # no more threads: the interpreter is ending
            return False
        return True


def _stream(connection: Connection, name: str, flight: _Flight) -> None:
    """Ask once, and read to the last line; raises PullFailed or _Broken."""
    import httpx

    url, key = f"{connection.base_url}/api/pull", connection.spec.api_key
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": name, "stream": True}
    timeout = httpx.Timeout(SILENCE, connect=5.0)
    status = ""
    try:
        with (
            visiting(connection, _LIMITS) as client,
            client.stream("POST", url, json=body, headers=headers, timeout=timeout) as response,
        ):
            for said in _lines(response):
                if error := said.get("error"):
                    raise PullFailed(name, str(error)[:300])
                if response.is_success:
                    status = str(said.get("status") or "")
                    flight.note(said)
            if not response.is_success:
                raise PullFailed(name, f"status {response.status_code}")
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise _Unheard(f"{connection.base_url}: nobody answers") from error
    except httpx.HTTPError as error:
        raise _Broken(f"no connection ({type(error).__name__})") from error
    if status != "success":
        raise _Broken(f"the server stopped at {status!r}" if status else "the server said nothing")


def _lines(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects, one a line; what is none, or is cut, breaks the stream off."""
    rest = b""
    for data in response.iter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        yield from map(_object, filter(bytes.strip, lines))
        if len(rest) > _LONGEST_LINE:
            raise _Broken("the server sends a line without an end")
    if rest.strip():
        yield _object(rest)


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _Broken("the server does not answer like Ollama")
    return said


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


PULLS: Final = Pulls()
"""The process's own."""

GATE.in_child(PULLS.reset)
