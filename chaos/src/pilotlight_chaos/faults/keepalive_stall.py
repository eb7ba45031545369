"""A stall that read timeouts never see: heartbeats go on, the answer does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Line, MidStream

if TYPE_CHECKING:
    from ..http import Reply


@dataclass(frozen=True, kw_only=True)
class KeepAliveStall(MidStream):
    kind = "keepalive_stall"
    about = "the same, with heartbeats"

    every: float = 0.05  # seconds between heartbeats

    async def break_off(self, line: Line) -> None:
        while True:
            await asyncio.sleep(self.every)
            await line.beat()

    async def break_plain(self, line: Line, reply: Reply) -> None:
        # Space before a JSON document is allowed, and gateways send it to stay connected.
        await line.start(reply)
        await self.break_off(line)
