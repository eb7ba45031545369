"""ChaosServer: the server in a thread of its own, as tests and drills use it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any

from .answers import Replier
from .book import ANYONE
from .door import Door, bind
from .faults import Fault, FaultError, make_fault
from .models import HOSTED_MODELS, HostedModel, LocalModel, local_models
from .service import Service, Settings
from .state import Counters, RequestRecord

PATIENCE = 5.0  # seconds for what takes milliseconds, on a busy machine


class ChaosServer:
    """A model server on loopback that plays several providers and fails on demand.

    Keys (`name`) are the name in the path (`server.base("primary")`), a dialect (`"openai"`,
    `"anthropic"`, `"gemini"`, `"ollama"`), or `"*"`.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        models: Iterable[LocalModel | str] | None = None,
        hosted: Iterable[HostedModel] = HOSTED_MODELS,
        reply: str | Replier | None = None,
        latency: float = 0.0,
        token_latency: float = 0.0,
        registry: Iterable[str] | None = None,
        pull_seconds: float = 0.0,
        max_queue: int = 512,
        cloud_disabled: bool = False,
        seed: int = 0,
    ) -> None:
        settings = Settings(
            local=local_models(models),
            hosted=tuple(hosted),
            reply=reply,
            latency=latency,
            token_latency=token_latency,
            registry=None if registry is None else frozenset(registry),
            pull_seconds=pull_seconds,
            max_queue=max_queue,
            cloud_disabled=cloud_disabled,
            seed=seed,
        )
        self._service = Service(settings)
        self._wanted_port = port
        self._port: int | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._door: Door | None = None

    # Life.

    def start(self) -> ChaosServer:
        """Start; a port that is taken raises here."""
        if self._thread is not None:
            raise RuntimeError("the server is already running")
        sock = bind(self._wanted_port)
        self._port = sock.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(Door(self._service, sock), ready)),
            name="pilotlight-chaos",
            daemon=True,
        )
        self._thread.start()
        if not ready.wait(PATIENCE):
            raise RuntimeError("the server did not start")
        return self

    async def _run(self, door: Door, ready: threading.Event) -> None:
        self._door, self._loop = door, asyncio.get_running_loop()
        self._closing = asyncio.Event()
        try:
            await door.open()
            ready.set()
            await self._closing.wait()
        finally:
            await door.close()

    def close(self) -> None:
        """Stop, and let go of every connection; may be called twice."""
        if self._thread is None:
            return
        if self._loop is not None and self._closing is not None:
            with contextlib.suppress(RuntimeError):  # the loop has already ended
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(PATIENCE)
        self._thread = None

    def __enter__(self) -> ChaosServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Addresses.

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError("the server has not been started")
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def base(self, name: str) -> str:
        """Return the base address under which this server plays the provider `name`."""
        return f"{self.url}/p/{name}"

    # Faults.

    def fault(self, name: str, kind: str | Fault, *, add: bool = False, **params: object) -> Fault:
        """Set a fault, in place of those set on the name or, with `add`, besides them."""
        if isinstance(kind, Fault) and params:
            raise FaultError("parameters go into the Fault, or beside the name of its kind")
        fault = kind if isinstance(kind, Fault) else make_fault(kind, params)
        self._service.book.arm(name, fault, add=add)
        return fault

    def heal(self, name: str | None = None) -> None:
        """Remove the faults of a name, or all.  Requests that hang already go on hanging."""
        self._service.book.heal(name)

    def reset(self) -> None:
        """Forget faults, records, counters, and what was loaded or pulled."""
        self._service.reset()

    def refuse(self) -> None:
        """Refuse connections from now on, and reset the open ones."""
        self._call(self._the_door().refuse())

    def accept_again(self) -> None:
        """Accept connections again, on the same port."""
        self._call(self._the_door().open())

    def _the_door(self) -> Door:
        if self._door is None or self._thread is None:
            raise RuntimeError("the server is not running")
        return self._door

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    # What was asked.

    def hits(self, name: str = ANYONE) -> int:
        """Count the model requests (not models, tags, show, version, ...)."""
        return self.counters(name).requests

    def counters(self, name: str = ANYONE) -> Counters:
        return self._service.log.counters(name)

    def requests(self, name: str | None = None, *, probes: bool = False) -> list[RequestRecord]:
        """Return the model requests, with `probes` the side requests as well, oldest first."""
        return self._service.log.records(name, probes=probes)

    def wait_for(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> bool:
        """Wait until a condition on hits, counters or requests holds; return whether it does."""
        return self._service.log.wait_for(condition, timeout)

    def wait_hits(self, name: str, count: int, timeout: float = PATIENCE) -> bool:
        """Wait until at least so many model requests have arrived."""
        return self.wait_for(lambda: self.hits(name) >= count, timeout)

    def wait_idle(self, name: str = ANYONE, timeout: float = PATIENCE) -> bool:
        """Wait until no model request is being served."""
        return self.wait_for(lambda: self.counters(name).in_flight == 0, timeout)
