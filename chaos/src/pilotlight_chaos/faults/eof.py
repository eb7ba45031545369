"""A clean end that comes too early: every byte of HTTP is right, the answer is half."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .base import OLLAMA, Line, MidStream

if TYPE_CHECKING:
    from ..answers import Answer, Ask
    from ..http import Reply


class Eof(MidStream):
    kind = "eof"
    about = "a clean end without the terminal signal"

    def alter(self, answer: Answer, ask: Ask) -> Answer:
        return dataclasses.replace(answer, finish=None)

    async def break_off(self, line: Line) -> None:
        await line.end()

    async def break_plain(self, line: Line, reply: Reply) -> None:
        await line.whole(reply)


class DoneFalse(Eof):
    kind = "done_false"
    about = "ends without done:true"
    dialects = OLLAMA
