"""The connection is torn down."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Ends, Transport


@dataclass(frozen=True, kw_only=True)
class Reset(Transport):
    kind = "reset"
    about = "RST"

    after: int = 0  # tokens sent before it strikes (bytes, at the proxy); 0: before any byte

    @property
    def spared(self) -> int | None:
        return self.after or None

    async def strike(self, connection: Ends) -> None:
        connection.reset()
