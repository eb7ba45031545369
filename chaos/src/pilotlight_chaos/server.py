"""ChaosServer: the server in a thread of its own, as tests and drills use it."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType

from .addresses import Addresses
from .answers import Replier
from .background import PATIENCE, Background
from .book import ANYONE
from .door import Door, bind
from .faults import Address, Fault, FaultError, make_fault
from .http import Traffic
from .models import HOSTED_MODELS, HostedModel, LocalModel, local_models
from .service import Service, Settings
from .state import Counters, RequestRecord


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
        eager_tools: bool = False,
        latency: float = 0.0,
        token_latency: float = 0.0,
        registry: Iterable[str] | None = None,
        pull_seconds: float = 0.0,
        max_queue: int = 512,
        cloud_disabled: bool = False,
        strict: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = Settings(
            local=local_models(models),
            hosted=tuple(hosted),
            reply=reply,
            eager_tools=eager_tools,
            latency=latency,
            token_latency=token_latency,
            registry=None if registry is None else frozenset(registry),
            pull_seconds=pull_seconds,
            max_queue=max_queue,
            cloud_disabled=cloud_disabled,
            strict=strict,
            seed=seed,
            clock=clock,
        )
        self._service = Service(settings)
        self._wanted_port = port
        self._port: int | None = None
        self._background = Background("pilotlight-chaos", self._opened)
        self._door: Door | None = None
        self._addresses: Addresses | None = None

    # Life.

    def start(self) -> ChaosServer:
        """Start; a port that is taken raises here."""
        if self._background.running:
            raise RuntimeError("the server is already running")
        self._door = Door(self._service, bind(self._wanted_port))
        self._port = self._door.port
        self._addresses = Addresses(self.port, self._open_tls)
        self._background.start()
        return self

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        assert self._door is not None
        assert self._addresses is not None
        self._service.close_door = self._door.refuse_for
        try:
            await self._door.open()
            yield
        finally:
            await self._door.close()
            await self._addresses.close()

    def close(self) -> None:
        """Stop, and let go of every connection; may be called twice."""
        self._background.close()

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

    def broken_base(self, name: str, kind: str) -> str:
        """Return a base address of `name` that cannot be reached, for want of a name, say.

        Args:
            name: The name in the path, as for `base`.
            kind: `dns`, `refused`, or `tls` (which takes the extra `pilotlight-chaos[tls]`).

        Raises:
            FaultError: The kind is not a fault of the address.
        """
        fault = make_fault(kind, {})
        if not isinstance(fault, Address) or self._addresses is None:
            raise FaultError(f"{kind!r} is set by fault(), on a server that runs")
        return f"{fault.url(self._addresses)}/p/{name}"

    def _open_tls(self, sock: socket.socket, context: ssl.SSLContext) -> Door:
        door = Door(self._service, sock, context)
        self._background.call(door.open())
        return door

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
        self._background.call(self._the_door().refuse())

    def accept_again(self) -> None:
        """Accept connections again, on the same port."""
        self._background.call(self._the_door().open())

    def _the_door(self) -> Door:
        if self._door is None or not self._background.running:
            raise RuntimeError("the server is not running")
        return self._door

    # What was asked.

    @property
    def traffic(self) -> Traffic:
        """Connections and bytes at the server's own port, as they are now."""
        return dataclasses.replace(self._the_door().traffic)

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
