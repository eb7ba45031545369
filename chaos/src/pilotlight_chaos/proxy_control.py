"""The proxy's control port: the same few requests as the server's, beside the bytes it breaks.

GET  /__control             faults, connections, bytes
POST /__control/fault       {"kind": "slow", "seconds": 2, "jitter": 0.5, "add": true}
POST /__control/heal
POST /__control/refuse      from now on
POST /__control/accept      again
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType

from .background import Background
from .door import Door, bind
from .faults import FaultError
from .http import Json, Reply, Request, Wire
from .proxy import TcpProxy

PREFIX = "/__control"


class ProxyControl:
    """An HTTP port in a thread of its own, with which a proxy is told what to do."""

    def __init__(self, proxy: TcpProxy, port: int = 0) -> None:
        self._proxy = proxy
        self._wanted_port = port
        self._background = Background("pilotlight-chaos-control", self._opened)

    async def serve(self, request: Request, wire: Wire) -> None:
        await wire.send(self._reply(request))

    def _reply(self, request: Request) -> Reply:
        act = ACTS.get(f"{request.method} {request.path.rstrip('/')}")
        if act is None:
            return Reply({"error": f"no {request.method} {request.path}", "known": [*ACTS]}, 404)
        try:
            act(self._proxy, request.json())
        except ValueError as error:  # a FaultError, or a body that is no JSON object
            return Reply({"error": str(error)}, 400)
        return Reply(self._proxy.as_json())

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        try:
            await self._door.open()
            yield
        finally:
            await self._door.close()

    def __enter__(self) -> ProxyControl:
        self._door = Door(self, bind(self._wanted_port))
        self._background.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._background.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._door.port}{PREFIX}"


def _set(proxy: TcpProxy, params: Json) -> None:
    kind, add = params.pop("kind", None), bool(params.pop("add", False))
    if not isinstance(kind, str):
        raise FaultError('a fault needs a "kind"')
    proxy.fault(kind, add=add, **params)


ACTS: dict[str, Callable[[TcpProxy, Json], object]] = {
    f"GET {PREFIX}": lambda proxy, params: None,
    f"POST {PREFIX}/fault": _set,
    f"POST {PREFIX}/heal": lambda proxy, params: proxy.heal(),
    f"POST {PREFIX}/refuse": lambda proxy, params: proxy.refuse(),
    f"POST {PREFIX}/accept": lambda proxy, params: proxy.accept_again(),
}
