"""The store that the processes under test share, made to fail: a file, or a Redis of its own.

Each is a real one and breaks as it does in production: a lock that another connection holds, a
file of garbage, a server that hangs or is killed.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol

from ..proxy import TcpProxy

StoreKind = Literal["none", "sqlite", "redis"]
PATIENCE: Final = 10.0  # seconds to lock a file that is in use, or for a server to start


class Store(Protocol):
    """A store; `url` is what `state` is set to."""

    url: str

    def hold(self) -> None:
        """Let it answer nobody in time."""

    def lose(self) -> None:
        """Let it be gone, with all that stood in it."""

    def mend(self) -> None:
        """Let it work again, empty if it was lost; does nothing to one that works."""

    def close(self) -> None:
        """Remove it."""


class SqliteStore:
    """A file in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pilotlight-chaos-"))
        self._path = self._folder / "board.db"
        self._lock: sqlite3.Connection | None = None
        self._lost = False
        self.url = f"sqlite:///{self._path}"

    def hold(self) -> None:
        """Lock it for readers too, as a backup or a stuck process does."""
        lock = sqlite3.connect(
            self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")
        self._lock = lock

    def lose(self) -> None:
        """Put another file in its place, which is no database."""
        garbage = self._folder / "garbage"
        garbage.write_bytes(b"no database\n" * 1000)
        garbage.replace(self._path)  # before the lock is gone: it must not work in between
        self._let_go()
        self._lost = True

    def mend(self) -> None:
        """Take the lock away, and the garbage."""
        self._let_go()
        if self._lost:
            self._remove()
            self._lost = False

    def close(self) -> None:
        """Remove the folder."""
        self._let_go()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _remove(self) -> None:
        for tail in ("", "-wal", "-shm"):
            Path(f"{self._path}{tail}").unlink(missing_ok=True)


class RedisStore:
    """A server of its own, without a file, behind a proxy that can hang."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._port = _free_port()
        self._server = self._started()
        self._proxy = TcpProxy("127.0.0.1", self._port).start()
        self.url = f"redis://127.0.0.1:{self._proxy.port}/0"

    def hold(self) -> None:
        """Let connections and questions in, and nothing out."""
        self._proxy.fault("hang")

    def lose(self) -> None:
        """Kill the server."""
        self._server.kill()
        self._server.wait()
        self._proxy.heal()

    def mend(self) -> None:
        """Start it again if it was killed; nothing stands in it then."""
        self._proxy.heal()
        if self._server.poll() is not None:
            self._server = self._started()

    def close(self) -> None:
        """End the server and the proxy."""
        self._proxy.close()
        self._server.kill()
        self._server.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        options = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", ""]
        server = subprocess.Popen(
            [self._program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        last = time.monotonic() + PATIENCE
        while time.monotonic() < last and server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 0.2):
                return server
            time.sleep(0.02)
        server.kill()
        server.wait()
        raise RuntimeError(f"{self._program} did not start")


def make_store(kind: StoreKind) -> Store | None:
    """Return a store that works, if one is wanted; raises RuntimeError without a Redis."""
    if kind == "none":
        return None
    if kind == "sqlite":
        return SqliteStore()
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise RuntimeError("there is no redis-server on PATH; the store can be sqlite")
    return RedisStore(program)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
