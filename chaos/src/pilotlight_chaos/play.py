"""Sends an answer, well or badly: asks the fault what the answer becomes, and lets it break off.

Every outcome is written down just before the last byte leaves, so that a client that has its
answer finds it counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .answers import Answer, Ask
from .dialects import Dialect
from .dialects.base import dumps
from .faults import Act, Transfer
from .http import Reply, Script, Wire


@dataclass(slots=True)
class HttpLine:
    """The answer to one request, as the faults of `faults/` see it: their `Line`."""

    wire: Wire
    dialect: Dialect
    ask: Ask
    settle: Callable[[int], None]  # called with the status just before the end
    status: int = 0  # that has been sent

    def cut(self) -> None:
        self.settle(self.status)
        self.wire.cut()

    def reset(self) -> None:
        self.settle(self.status)
        self.wire.reset()

    async def part(self, reply: Reply) -> None:
        self.status = reply.status
        await self.wire.send_part(reply)

    async def start(self, reply: Reply) -> None:
        self.status = reply.status
        await self.wire.start(reply.all_headers(), reply.status)

    async def whole(self, reply: Reply) -> None:
        self.settle(reply.status)
        await self.wire.send(reply)

    async def beat(self) -> None:
        await self.wire.chunk(self.dialect.heartbeat(self.ask) if self.ask.stream else b" ")

    async def end(self) -> None:
        self.settle(self.status)
        await self.wire.end()

    async def error(self) -> None:
        self.settle(self.status)
        await self.wire.end(self.dialect.error_event(self.ask))

    async def plain(self, reply: Reply, fault: Act | None) -> None:
        """Send a body that is no stream; the transfer may break at its middle."""
        if isinstance(fault, Transfer):
            await fault.break_plain(self, reply)
        else:
            await self.whole(reply)

    def changed(self, reply: Reply, fault: Act) -> Reply:
        """Return the reply that is sent where a fault of the content strikes."""
        body = fault.instead(self.dialect, self.ask, reply.encoded().decode())
        if body is None or isinstance(body, Reply):
            return body or reply
        return Reply(body, 200, reply.all_headers())


@dataclass(slots=True)
class Player:
    """Gives one answer to one request."""

    line: HttpLine
    fault: Act | None
    per_token: float

    async def give(self, answer: Answer) -> None:
        line, fault = self.line, self.fault
        ask, dialect = line.ask, line.dialect
        if fault is not None:
            answer = fault.alter(answer, ask)
        if ask.stream:
            await self._stream(answer)
            return
        await asyncio.sleep(self.per_token * answer.completion_tokens)
        reply = Reply(dialect.whole(ask, answer), 200, self._headers(stream=False))
        await line.plain(line.changed(reply, fault) if fault else reply, fault)

    async def _stream(self, answer: Answer) -> None:
        line, fault = self.line, self.fault
        script = self._script(answer)
        if isinstance(script, Reply):
            await line.whole(script)
            return
        wire, line.status = line.wire, 200
        spared = fault.spared if isinstance(fault, Transfer) else None
        await wire.start(self._headers(stream=True))
        await wire.chunk(script.opening)
        for piece in script.pieces[:spared]:
            await asyncio.sleep(self.per_token)
            await wire.chunk(piece)
        if isinstance(fault, Transfer):
            await fault.break_off(line)
        else:
            line.settle(200)
            await wire.end(script.closing)

    def _headers(self, *, stream: bool) -> dict[str, str]:
        added = self.fault.headers() if self.fault is not None else {}
        return self.line.dialect.headers_for(stream=stream) | dict(added)

    def _script(self, answer: Answer) -> Script | Reply:
        """Return the stream of the answer, or of what a fault puts in its place."""
        ask, dialect, fault = self.line.ask, self.line.dialect, self.fault
        body = None
        if fault is not None:
            body = fault.instead(dialect, ask, dumps(dialect.whole(ask, answer)))
        if body is None:
            script = dialect.script(ask, answer)
            return script if fault is None else fault.mangle(script, dialect)
        if isinstance(body, Reply):
            return body
        if isinstance(body, str):
            return Script(closing=dialect.frame(body))
        return Script(closing=dialect.frame(dumps(body)) + dialect.ending)
