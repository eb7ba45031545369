"""An error that comes when the status was already 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Line, MidStream, Provider
from .status import ServerError

if TYPE_CHECKING:
    from ..answers import Ask
    from ..http import Reply


class ErrorEvent(MidStream):
    kind = "error_event"
    about = "an error inside the stream, status 200"

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        return None if ask.stream else ServerError().refuse(provider, ask)

    async def break_off(self, line: Line) -> None:
        await line.error()
