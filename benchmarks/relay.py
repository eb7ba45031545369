"""A bare relay, to measure the gateway beside: uvicorn, starlette and httpx hand bytes on.

python -m uvicorn benchmarks.relay:app    with RELAY_TO, the provider's address
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

client = httpx.AsyncClient(
    base_url=os.environ.get("RELAY_TO", ""), limits=httpx.Limits(max_connections=None), timeout=60
)


async def relay(request: Request) -> Response:
    """Hand a request on, and its answer back."""
    body = await request.body()
    asked = client.build_request(
        "POST", request.url.path, content=body, headers={"content-type": "application/json"}
    )
    if b'"stream":true' not in body.replace(b" ", b""):
        whole = await client.send(asked)
        return Response(whole.content, whole.status_code, media_type="application/json")
    reply = await client.send(asked, stream=True)

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in reply.aiter_raw():
            yield piece

    return StreamingResponse(
        pieces(), reply.status_code, media_type="text/event-stream",
        background=BackgroundTask(reply.aclose),
    )  # fmt: skip


app = Starlette(routes=[Route("/v1/chat/completions", relay, methods=["POST"])])
"""The application."""


class Connection(HttpToolsProtocol):
    """Sends small pieces at once, which uvicorn's workers do not: 40 ms a call otherwise."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


if __name__ == "__main__":
    uvicorn.run(
        "benchmarks.relay:app",
        http="benchmarks.relay:Connection",  # type: ignore[arg-type]
        loop="asyncio",
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        access_log=False,
        log_level="error",
    )
