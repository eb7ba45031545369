"""Connections to a server of this process that plays the providers, instead of to them."""

# ruff: noqa: ASYNC109 - the signatures are httpcore's

from __future__ import annotations

from typing import Any

import httpcore

from pilotlight.wire.played import Stage


class _Preamble:
    """Says first who was to be asked: `WORD https api.openai.com 443`."""

    def __init__(self, stage: Stage, host: str, port: int) -> None:
        self._word = stage.word
        self._place = f"{host} {port}"
        self._scheme = "http"
        self._said = False

    def secured(self) -> None:
        """Take note that TLS was wanted; between two ends of one process there is none."""
        self._scheme = "https"

    def before(self, buffer: bytes) -> bytes:
        """Return the bytes with the preamble before the first of them."""
        if self._said or not buffer:
            return buffer
        self._said = True
        return f"{self._word} {self._scheme} {self._place}\n".encode() + buffer


class PlayedStream(httpcore.NetworkStream):
    """A connection to the server that plays."""

    def __init__(self, inner: httpcore.NetworkStream, stage: Stage, host: str, port: int) -> None:
        self._inner = inner
        self._preamble = _Preamble(stage, host, port)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(self._preamble.before(buffer), timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self._preamble.secured()
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class AsyncPlayedStream(httpcore.AsyncNetworkStream):
    """The same for async."""

    def __init__(
        self, inner: httpcore.AsyncNetworkStream, stage: Stage, host: str, port: int
    ) -> None:
        self._inner = inner
        self._preamble = _Preamble(stage, host, port)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(self._preamble.before(buffer), timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self._preamble.secured()
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
