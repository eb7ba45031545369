"""Accepts, reads, and never says a word."""

from __future__ import annotations

from .base import Ends, Transport, silence


class Hang(Transport):
    kind = "hang"
    about = "reads the request and never answers"

    async def strike(self, connection: Ends) -> None:
        await silence()
