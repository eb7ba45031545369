"""The connection is closed in the middle, politely and too early."""

from __future__ import annotations

from .base import Ends, MidStream, Transport


class Cut(MidStream, Transport):
    kind = "cut"
    about = "closed mid-stream without the final chunk"

    async def strike(self, connection: Ends) -> None:
        connection.cut()
