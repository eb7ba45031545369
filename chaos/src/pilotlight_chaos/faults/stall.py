"""The stream stops, and nobody closes it."""

from __future__ import annotations

from .base import Ends, MidStream, Transport, silence


class Stall(MidStream, Transport):
    kind = "stall"
    about = "the stream stops; the connection stays open"

    async def strike(self, connection: Ends) -> None:
        await silence()
