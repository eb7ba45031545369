"""Serves requests: finds the place, draws the fault, lets the dialect answer.

Owns the road of one request, and the parts that a server consists of (fault book, log,
machines).  It is run by `door.py` in the server's thread.
"""

from __future__ import annotations

import asyncio
import dataclasses
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from . import control
from .answers import Ask, Replier, answer
from .book import Drawn, FaultBook
from .catalog import listing
from .dialects import Anthropic, Dialect, Gemini, Ollama, OllamaOpenAI, OpenAI, Refused
from .faults import KINDS, MidStream, Reset, Stage, make_fault
from .http import Reply, Request, Wire, html
from .models import HOSTED_MODELS, LOCAL_MODELS, HostedModel, LocalModel, Machines, display_name
from .ollama_host import OllamaHost, Progress
from .play import Player, send_plain, silence
from .router import Place, locate
from .state import Log, Outcome, RequestRecord, now
from .wording import LOGIN_PAGE

DIALECTS: dict[str, Dialect] = {
    **{each.name: each for each in (OpenAI(), Anthropic(), Gemini(), Ollama())},
    "ollama-openai": OllamaOpenAI(),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is to behave when nothing is wrong."""

    local: tuple[LocalModel, ...] = LOCAL_MODELS
    hosted: tuple[HostedModel, ...] = HOSTED_MODELS
    reply: str | Replier | None = None
    latency: float = 0.0  # seconds before an answer
    token_latency: float = 0.0  # seconds before each token
    registry: frozenset[str] | None = None
    pull_seconds: float = 0.0
    max_queue: int = 512
    cloud_disabled: bool = False
    seed: int = 0


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
        self.book = FaultBook(settings.seed)
        self.log = Log()
        self.machines = Machines(settings.local, settings.max_queue)
        self.close_door: control.CloseDoor | None = None

    async def serve(self, request: Request, wire: Wire) -> None:
        """Answer one request, in whatever way it is to be answered."""
        if request.path.startswith(control.PREFIX):
            await wire.send(control.handle(self, request))
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
        await asyncio.sleep(self.settings.latency + sum(each.seconds for each in drawn.delays))
        if await self._struck(exchange, ask):
            return
        said = answer(ask, self.settings.reply)
        async with AsyncExitStack() as stack:
            if place.dialect == "ollama":
                host = self._host(exchange)
                said = await stack.enter_async_context(host.admitted(ask, said))
            pace = self.settings.token_latency + sum(each.per_token for each in drawn.delays)
            player = Player(
                exchange.wire, exchange.dialect, ask, drawn.final, pace, exchange.settle
            )
            await player.give(said)

    async def _struck(self, exchange: Exchange, ask: Ask) -> bool:
        """Let a fault that comes before any answer strike; return whether it did."""
        fault, dialect = exchange.drawn.final, exchange.dialect
        if fault is None:
            return False
        stage = KINDS[fault.kind].stage
        if stage is Stage.SILENCE:
            await silence()
        if fault.kind == "content_filter" and dialect.filters_in_answer(fault):
            return False
        if stage is Stage.REFUSAL:
            await exchange.send(dialect.refusal(ask, fault))
            return True
        if fault.kind == "error_event" and not ask.stream:
            await exchange.send(dialect.refusal(ask, make_fault("server_error", {})))
            return True
        return False

    async def _side(self, exchange: Exchange) -> None:
        place = exchange.place
        drawn = exchange.drawn = self.book.draw(place.name, place.dialect, of_model=False)
        exchange.record.fault = drawn.kind
        self._begin(exchange)
        await asyncio.sleep(sum(each.seconds for each in drawn.delays))
        ask = Ask(place.name, place.dialect, place.model, False, {}, variant=place.variant)
        if await self._struck(exchange, ask):
            return
        if place.dialect == "ollama":
            reply = self._host(exchange).side(exchange.request, place.path)
        else:
            reply = listing(exchange.dialect, self.settings.hosted, place.model)
        if isinstance(reply, Progress):
            await _send_progress(exchange, ask, reply)
        elif drawn.final and KINDS[drawn.final.kind].stage in (Stage.BODY, Stage.STREAM):
            await _send_broken(exchange, ask, reply)
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


async def _send_progress(exchange: Exchange, ask: Ask, progress: Progress) -> None:
    """Send a pull's lines; a fault of streams (`everywhere`) breaks them off as it does answers."""
    fault = exchange.drawn.final
    after = fault.after if isinstance(fault, MidStream | Reset) else None
    *lines, last = progress.lines
    await exchange.wire.start(exchange.dialect.headers_for(stream=True))
    for sent, line in enumerate(lines[:after], start=1):
        await exchange.wire.chunk(line)
        progress.note(sent)
        await asyncio.sleep(progress.seconds / len(progress.lines))
    if after is not None:
        player = Player(exchange.wire, exchange.dialect, ask, fault, 0.0, exchange.settle)
        await player.break_off()
        return
    progress.note(len(progress.lines))
    exchange.settle(200)
    await exchange.wire.end(last)


async def _send_broken(exchange: Exchange, ask: Ask, reply: Reply) -> None:
    """Let a fault made for answers strike a side request (`everywhere`)."""
    fault = exchange.drawn.final
    match fault.kind if fault else "":
        case "garbage":
            reply = html(LOGIN_PAGE)
        case "truncated_json":
            text = reply.encoded().decode()
            reply = Reply(text[: len(text) // 2], 200, reply.all_headers())
        case "error_body":
            reply = dataclasses.replace(reply, body=exchange.dialect.error_in_200(ask))
    await send_plain(exchange.wire, reply, fault, exchange.settle)
