"""Load for the gateway, from a process of its own, over connections that are kept.

    python -m benchmarks.gateway_load '{"url": ..., "connections": 32, "seconds": 5, ...}'

Prints one JSON document: calls a second, and the seconds of each call or of each first byte.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

ASK = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


class Client:
    """One connection that asks again and again."""

    def __init__(self, url: str, *, stream: bool) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        body = json.dumps({**ASK, "stream": stream}).encode()
        self._request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        ) + body
        self.times: list[float] = []

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    def send(self) -> None:
        self._writer.write(self._request)

    async def ask(self) -> float:
        """Return the seconds until the whole answer; of a stream, until its first byte."""
        began = time.perf_counter()
        self.send()
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode("latin-1"))
        if b"chunked" in head.lower():
            return await self._chunks(began)
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await self._reader.readexactly(length)
        return time.perf_counter() - began

    async def _chunks(self, began: float) -> float:
        first = 0.0
        while size := int(await self._reader.readline(), 16):
            await self._reader.readexactly(size + 2)
            first = first or time.perf_counter() - began
        await self._reader.readline()
        return first

    async def run(self, until: float) -> None:
        while time.perf_counter() < until:
            self.times.append(await self.ask())

    def close(self) -> None:
        self._writer.close()


async def load(url: str, connections: int, seconds: float, *, stream: bool) -> dict[str, Any]:
    """Ask over so many connections for so long."""
    clients = [Client(url, stream=stream) for _ in range(connections)]
    for each in clients:
        await each.open()
    await asyncio.gather(*(each.ask() for each in clients))
    began = time.perf_counter()
    await asyncio.gather(*(each.run(began + seconds) for each in clients))
    took = time.perf_counter() - began
    times = sorted(each for client in clients for each in client.times)
    for each in clients:
        each.close()
    return {"a_second": len(times) / took, "median": times[len(times) // 2]}


async def idle(url: str, connections: int, seconds: float) -> None:
    """Hold so many streams open whose first token does not come; say when all are asked for."""
    clients = [Client(url, stream=True) for _ in range(connections)]
    for each in clients:
        await each.open()
        each.send()
    await asyncio.sleep(seconds)
    print(json.dumps({"held": len(clients)}), flush=True)
    await asyncio.sleep(seconds)
    for each in clients:
        each.close()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if given.pop("idle", False):
        asyncio.run(idle(**given))
    else:
        print(json.dumps(asyncio.run(load(**given))))
