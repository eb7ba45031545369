"""Serves requests: finds the place, draws the fault, lets the dialect answer.

Owns the road of one request, and the parts that a server consists of (fault book, log,
machines).  It is run by `door.py` in the server's thread.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from . import panel, strict
from .answers import Ask, Replier, answer
from .book import Drawn, FaultBook
from .catalog import listing
from .dialects import (
    Anthropic,
    Automatic1111,
    Dialect,
    Gemini,
    Ollama,
    OllamaOpenAI,
    OpenAI,
    OpenAIResponses,
    Refused,
    automatic1111,
)
from .faults import Transfer
from .faults.captive_portal import LOGIN_PATH
from .faults.garbage import LOGIN_PAGE
from .http import Reply, Request, Wire, html
from .models import HOSTED_MODELS, LOCAL_MODELS, HostedModel, LocalModel, Machines, display_name
from .ollama_host import OllamaHost, Progress
from .play import HttpLine, Player
from .router import Place, locate
from .state import Log, Outcome, RequestRecord, now

DIALECTS: dict[str, Dialect] = {
    **{each.name: each for each in (OpenAI(), Anthropic(), Gemini(), Ollama())},
    "ollama-openai": OllamaOpenAI(),
    "openai-responses": OpenAIResponses(),
    "automatic1111": Automatic1111(),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is to behave when nothing is wrong."""

    local: tuple[LocalModel, ...] = LOCAL_MODELS
    hosted: tuple[HostedModel, ...] = HOSTED_MODELS
    reply: str | Replier | None = None
    eager_tools: bool = False  # call a tool whenever there is one, whatever the user says
    latency: float = 0.0  # seconds before an answer
    token_latency: float = 0.0  # seconds before each token
    registry: frozenset[str] | None = None
    pull_seconds: float = 0.0
    max_queue: int = 512
    cloud_disabled: bool = False
    strict: bool = False  # refuse what the real API would, think and search where it would
    seed: int = 0
    clock: Callable[[], float] = time.monotonic  # of the faults' schedules, in seconds


@dataclass(slots=True)
class Exchange:
    """One request on its way."""

    wire: Wire
    request: Request
    place: Place
    record: RequestRecord
    log: Log
    drawn: Drawn = field(default_factory=Drawn)

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.place.shape]

    def settle(self, status: int) -> None:
        self.record.status = status or None
        self.log.settle(self.record, "completed")

    async def send(self, reply: Reply) -> None:
        self.settle(reply.status)
        await self.wire.send(reply, bodiless=self.request.method == "HEAD")


class Service:
    """What a server knows and does, apart from its socket."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.book = FaultBook(settings.seed, settings.clock)
        self.log = Log()
        self.machines = Machines(settings.local, settings.max_queue)
        self.close_door: panel.CloseDoor | None = None

    async def serve(self, request: Request, wire: Wire) -> None:
        """Answer one request, in whatever way it is to be answered."""
        wire.bandwidth = None
        if request.path.startswith(panel.PREFIX):
            await wire.send(panel.handle(self, request))
            return
        if request.path == LOGIN_PATH:
            await wire.send(html(LOGIN_PAGE))
            return
        place = locate(request)
        if place is None:
            await wire.send(Reply("404 page not found", 404))
        elif request.method not in place.methods:
            await wire.send(Reply("405 method not allowed", 405))
        else:
            await self._serve(request, wire, place)

    async def _serve(self, request: Request, wire: Wire, place: Place) -> None:
        exchange = Exchange(wire, request, place, _record(request, place), self.log)
        outcome: Outcome = "completed"
        try:
            await (self._model if place.of_model else self._side)(exchange)
        except Refused as refused:
            self._begin(exchange)
            await exchange.send(exchange.dialect.refused(refused.reply))
        except (asyncio.CancelledError, ConnectionError):
            outcome = "disconnected"
            raise
        except Exception as error:  # a mistake of ours must not look like a fault of a provider
            traceback.print_exc()
            self._begin(exchange)
            await exchange.send(Reply(f"pilotlight-chaos failed: {error!r}", 500))
        finally:
            self.log.settle(exchange.record, outcome)

    def _begin(self, exchange: Exchange) -> None:
        if not exchange.record.begun:
            exchange.record.begun = True
            self.log.begin(exchange.record)

    async def _model(self, exchange: Exchange) -> None:
        place, request, record = exchange.place, exchange.request, exchange.record
        ask = exchange.dialect.read(place.name, place.variant, place.model, request)
        record.model, record.stream = ask.model, ask.stream
        record.body = ask.body
        drawn = exchange.drawn = self.book.draw(place.name, place.dialect, of_model=True)
        record.fault = drawn.kind
        self._begin(exchange)
        line = await self._line(exchange, ask, self.settings.latency)
        if await self._struck(exchange, line):
            return
        settings = self.settings
        if settings.strict:  # who is down looks at nothing
            strict.check(place.shape, place.variant, ask.body, ask.model)
        said = answer(
            ask, settings.reply, eager_tools=settings.eager_tools, lifelike=settings.strict
        )
        record.said = said.text
        async with AsyncExitStack() as stack:
            if place.dialect == "ollama":
                host = self._host(exchange)
                said = await stack.enter_async_context(host.admitted(ask, said))
            per_token = self.settings.token_latency + drawn.pace.token
            await Player(line, drawn.final, per_token).give(said)

    async def _line(self, exchange: Exchange, ask: Ask, latency: float) -> HttpLine:
        """Wait as long as the delays that struck say, and return the line at their pace."""
        pace = exchange.drawn.pace
        await asyncio.sleep(latency + pace.before)
        exchange.wire.bandwidth = pace.bandwidth
        return HttpLine(exchange.wire, exchange.dialect, ask, exchange.settle)

    async def _struck(self, exchange: Exchange, line: HttpLine) -> bool:
        """Let a fault that comes before any answer strike; return whether it did."""
        fault = exchange.drawn.final
        if fault is None:
            return False
        if isinstance(fault, Transfer) and fault.spared is None:
            await fault.break_off(line)
            return True
        refusal = fault.refuse(exchange.dialect, line.ask)
        if refusal is not None:
            await exchange.send(refusal)
        return refusal is not None

    async def _side(self, exchange: Exchange) -> None:
        place = exchange.place
        drawn = exchange.drawn = self.book.draw(place.name, place.dialect, of_model=False)
        exchange.record.fault = drawn.kind
        self._begin(exchange)
        ask = Ask(place.name, place.dialect, place.model, False, {}, variant=place.variant)
        line = await self._line(exchange, ask, 0.0)
        if await self._struck(exchange, line):
            return
        if place.dialect == "ollama":
            reply = self._host(exchange).side(exchange.request, place.path)
        elif place.variant == "sd-models":
            reply = automatic1111.models()
        else:
            reply = listing(exchange.dialect, self.settings.hosted, place.model)
        if isinstance(reply, Progress):
            await _send_progress(exchange, line, reply)
        elif drawn.final:
            await line.plain(line.changed(reply, drawn.final), drawn.final)
        else:
            await exchange.send(reply)

    def _host(self, exchange: Exchange) -> OllamaHost:
        settings = self.settings
        return OllamaHost(
            self.machines[exchange.place.name],
            exchange.drawn.standing,
            settings.cloud_disabled,
            settings.registry and frozenset(display_name(n).lower() for n in settings.registry),
            settings.pull_seconds,
        )

    def reset(self) -> None:
        """Forget faults, records, counters, and what was loaded or pulled."""
        self.book.heal()
        self.log.clear()
        self.machines.clear()


def _record(request: Request, place: Place) -> RequestRecord:
    return RequestRecord(
        name=place.name,
        dialect=place.dialect,
        method=request.method,
        path=place.path,
        model=place.model or None,
        stream=False,
        of_model=place.of_model,
        time=now(),
        headers=dict(request.headers),
    )


async def _send_progress(exchange: Exchange, line: HttpLine, progress: Progress) -> None:
    """Send a pull's lines; a fault of streams (`everywhere`) breaks them off as it does answers."""
    fault = exchange.drawn.final
    spared = fault.spared if isinstance(fault, Transfer) else None
    *lines, last = progress.lines
    await exchange.wire.start(exchange.dialect.headers_for(stream=True))
    line.status = 200
    for sent, each in enumerate(lines[:spared], start=1):
        await exchange.wire.chunk(each)
        progress.note(sent)
        await asyncio.sleep(progress.seconds / len(progress.lines))
    if isinstance(fault, Transfer):
        await fault.break_off(line)
        return
    progress.note(len(progress.lines))
    exchange.settle(200)
    await exchange.wire.end(last)
