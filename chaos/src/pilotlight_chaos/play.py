"""Sends an answer, well or badly: what each fault does to the connection and to the body.

Every outcome is written down just before the last byte leaves, so that a client that has its
answer finds it counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from .answers import Answer, Ask
from .dialects import Dialect, Script
from .dialects.base import dumps
from .faults import Empty, Fault, KeepAlive, MidStream, Reset, Substituted
from .http import Reply, Wire, html
from .wording import LOGIN_PAGE


@dataclass(slots=True)
class Player:
    """Gives one answer to one request."""

    wire: Wire
    dialect: Dialect
    ask: Ask
    fault: Fault | None
    per_token: float
    settle: Callable[[int], None]  # called with the status just before the end

    @property
    def kind(self) -> str:
        return self.fault.kind if self.fault else ""

    async def give(self, answer: Answer) -> None:
        answer = self._altered(answer)
        ready_made = self._ready_made(answer)
        if isinstance(ready_made, Reply):
            await self._finish(ready_made)
        elif self.ask.stream:
            script = ready_made or self.dialect.script(self.ask, answer)
            await self._stream(script)
        else:
            await asyncio.sleep(self.per_token * answer.completion_tokens)
            headers = self.dialect.headers_for(stream=False)
            body = self.dialect.whole(self.ask, answer)
            await send_plain(self.wire, Reply(body, 200, headers), self.fault, self.settle)

    def _altered(self, answer: Answer) -> Answer:
        """Change what is said, where the fault is in the content."""
        match self.fault:
            case Substituted(model=model):
                return dataclasses.replace(answer, model=model)
            case Empty(what="content"):
                return dataclasses.replace(answer, pieces=(), calls=(), thinking="", finish="stop")
            case Fault(kind="content_filter"):
                kept = answer.pieces[:1] if self.ask.stream else ()
                return dataclasses.replace(answer, pieces=kept, calls=(), finish="filter")
            case Fault(kind="eof" | "done_false"):
                return dataclasses.replace(answer, finish=None)
        return answer

    def _ready_made(self, answer: Answer) -> Reply | Script | None:
        """Return the body of a fault that takes the place of the answer's body."""
        dialect, headers = self.dialect, self.dialect.headers_for(stream=False)
        match self.fault:
            case Fault(kind="garbage"):
                return html(LOGIN_PAGE)
            case Fault(kind="truncated_json"):
                text = dumps(dialect.whole(self.ask, answer))
                half = text[: len(text) // 2]
                return self._sole(half) if self.ask.stream else Reply(half, 200, headers)
            case Empty(what="choices"):
                body = dialect.nothing(self.ask)
            case Fault(kind="error_body"):
                body = dialect.error_in_200(self.ask)
            case _:
                return None
        if self.ask.stream:
            return self._sole(dumps(body), dialect.ending)
        return Reply(body, 200, headers)

    def _sole(self, text: str, ending: bytes = b"") -> Script:
        return Script(closing=self.dialect.frame(text) + ending)

    async def _finish(self, reply: Reply) -> None:
        self.settle(reply.status)
        await self.wire.send(reply)

    async def _stream(self, script: Script) -> None:
        fault, wire = self.fault, self.wire
        if isinstance(fault, Reset) and fault.after == 0:
            self.settle(0)
            wire.reset()
            return
        breaks = isinstance(fault, MidStream | Reset)
        after = fault.after if isinstance(fault, MidStream | Reset) else len(script.pieces)
        await wire.start(self.dialect.headers_for(stream=True))
        await wire.chunk(script.opening)
        for piece in script.pieces[:after]:
            await asyncio.sleep(self.per_token)
            await wire.chunk(piece)
        if breaks:
            await self.break_off()
        else:
            self.settle(200)
            await wire.end(script.closing)

    async def break_off(self) -> None:
        """End a stream, or leave it open, in the way of the fault."""
        if isinstance(self.fault, KeepAlive):
            while True:
                await asyncio.sleep(self.fault.every)
                await self.wire.chunk(self.dialect.heartbeat(self.ask))
        if self.kind == "stall":
            await silence()
        self.settle(200)
        match self.kind:
            case "cut":
                self.wire.cut()
            case "reset":
                self.wire.reset()
            case "error_event":
                await self.wire.end(self.dialect.error_event(self.ask))
            case _:
                await self.wire.end()


async def send_plain(
    wire: Wire, reply: Reply, fault: Fault | None, settle: Callable[[int], None]
) -> None:
    """Send a body that is no stream; the transfer may break at its middle."""
    match fault.kind if fault else "":
        case "reset":
            settle(0)
            wire.reset()
        case "cut":
            settle(reply.status)
            await wire.send_part(reply)
            wire.cut()
        case "stall":
            await wire.send_part(reply)
            await silence()
        case "keepalive_stall":
            # Space before a JSON document is allowed, and gateways send it to stay connected.
            await wire.start(reply.all_headers(), reply.status)
            while True:
                await asyncio.sleep(fault.every if isinstance(fault, KeepAlive) else 1)
                await wire.chunk(b" ")
        case _:
            settle(reply.status)
            await wire.send(reply)


async def silence() -> None:
    """Wait until the client leaves or the server closes; either cancels this."""
    await asyncio.get_running_loop().create_future()
