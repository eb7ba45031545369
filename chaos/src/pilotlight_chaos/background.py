"""An event loop in a thread of its own: what lets a test hold a server in its hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

PATIENCE = 5.0  # seconds for what takes milliseconds, on a busy machine
T = TypeVar("T")


class Background:
    """Runs what is opened by `opener` until it is closed."""

    def __init__(self, name: str, opener: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._name = name
        self._opener = opener
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is not None:
            raise RuntimeError("the server is already running")
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(ready)), name=self._name, daemon=True
        )
        self._thread.start()
        if not ready.wait(PATIENCE):
            raise RuntimeError("the server did not start")

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with self._opener():
            ready.set()
            await self._closing.wait()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the loop, and wait for it."""
        if self._thread is None or self._loop is None:
            work.close()
            raise RuntimeError("the server is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def close(self) -> None:
        """Stop; may be called twice."""
        if self._thread is None:
            return
        if self._loop is not None and self._closing is not None:
            with contextlib.suppress(RuntimeError):  # the loop has already ended
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PATIENCE)
        self._thread = None


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server once each connection that it has accepted has its transport.

    asyncio drops a connection unclosed when its server is closed between the two (CPython's
    gh-109564, open in 3.14).
    """
    for sock in server.sockets:
        asyncio.get_running_loop().remove_reader(sock.fileno())
    await asyncio.sleep(0)
    server.close()
