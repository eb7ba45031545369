"""What a fault is: when it strikes, and the few things that it may change.

Owns the interface of the faults beside this file, one a file.  A fault is a frozen value; what it
needs of the server is handed to it.  It is one of these:

* `Delay`: the answer comes late or slowly.  Goes together with any other fault.
* `Act`: the answer becomes another one.  `refuse`, `alter`, `headers`, `instead` or `mangle` says
  which.
* `Transfer`: an act on the connection.  `break_off` ends it, after what is `spared`.
* `Transport`: a transfer that is the same below any protocol, so that the TCP proxy has it too.
* `Standing`: a state of the Ollama that is played, not an act.
* `Address`: the endpoint cannot be reached, so that no request arrives that could be struck.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol

from .values import FaultError, check_value

if TYPE_CHECKING:
    from ..answers import Answer, Ask
    from ..http import Json, Reply, Script

HOSTED = frozenset({"openai", "anthropic", "gemini"})
OLLAMA = frozenset({"ollama"})
EVERY = HOSTED | OLLAMA
TCP = "tcp"  # the dialect of the proxy, which speaks none


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What every fault has: when it strikes.  Seconds count from when it was set."""

    kind: ClassVar[str]
    about: ClassVar[str]  # one line for people
    dialects: ClassVar[frozenset[str]] = EVERY

    rate: float = 1.0  # how often it strikes: 0 never, 1 always
    seed: int | None = None  # of its dice; None: the server's
    skip: int = 0  # the first n requests are spared
    times: int | None = None  # only the next n requests; None: until healed
    schedule: Sequence[Sequence[float]] | None = None  # only in these (from, to) seconds
    period: float | None = None  # seconds after which the schedule begins again
    everywhere: bool = False  # also strikes side requests (models, tags, show, version, ...)

    def __post_init__(self) -> None:
        for each in fields(self):
            check_value(self.kind, each, getattr(self, each.name))
        if self.period is not None and self.schedule is None:
            raise FaultError(f"fault {self.kind!r}: a period repeats a schedule, and there is none")

    def active(self, elapsed: float) -> bool:
        """Say whether the schedule lets it strike, so many seconds after it was set."""
        if self.schedule is None:
            return True
        now = elapsed % self.period if self.period else elapsed
        return any(begin <= now < end for begin, end in self.schedule)


@dataclass(frozen=True)
class Pace:
    """How late and how slowly an answer is sent."""

    before: float = 0.0  # seconds
    token: float = 0.0  # seconds before each token of a stream
    bandwidth: float | None = None  # bytes a second; None: as fast as it goes

    def __add__(self, other: Pace) -> Pace:
        widths = [each for each in (self.bandwidth, other.bandwidth) if each is not None]
        slowest = min(widths, default=None)
        return Pace(self.before + other.before, self.token + other.token, slowest)


class Delay(Fault):
    """The answer comes late or slowly."""

    dialects = EVERY | {TCP}

    def pace(self, dice: random.Random) -> Pace:
        """Return by how much, this time."""
        raise NotImplementedError


class Provider(Protocol):
    """What a fault needs of the provider that is played: how it says that something is wrong."""

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        """Return the error reply for a fault, in the provider's words."""

    def error_in_200(self, ask: Ask) -> Json:
        """Return an error object that comes under status 200."""

    def nothing(self, ask: Ask) -> Json:
        """Return a body that is well-formed and holds no answer at all."""

    def filters_in_answer(self, fault: Fault) -> bool:
        """Say whether a content filter shows as a finish reason under 200, not as an error."""

    def frame(self, text: str) -> bytes:
        """Wrap a text as one event of a stream."""


class Act(Fault):
    """The answer becomes another one.  Override what is changed; the first that says so counts."""

    spoils: ClassVar[bool] = True  # False: the text that is answered is whole and right

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        """Return an error reply in place of any answer."""
        return None

    def alter(self, answer: Answer, ask: Ask) -> Answer:
        """Return what is said in place of the answer."""
        return answer

    def headers(self) -> Mapping[str, str]:
        """Return what stands in the head of the answer beside the provider's own headers."""
        return {}

    def instead(self, provider: Provider, ask: Ask, body: str) -> Reply | Json | str | None:
        """Return what is sent under status 200 in place of the good body.

        A reply replaces everything.  An object is the whole body, or the only event of a stream.
        A text is that too, but unfinished: a stream then lacks its end.
        """
        return None

    def mangle(self, script: Script, provider: Provider) -> Script:
        """Return the events that are sent in place of a good stream's."""
        return script


class Refusal(Act):
    """An error reply in the provider's words, which are in `wording/`."""

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        return provider.refusal(ask, self)


@dataclass(frozen=True, kw_only=True)
class WithStatus(Refusal):
    status: int | None = None  # another of the statuses under which the provider says this


class Ends(Protocol):
    """What can be done to any connection."""

    def cut(self) -> None:
        """Close with FIN, whatever was promised."""

    def reset(self) -> None:
        """Close with RST."""


class Line(Ends, Protocol):
    """The rest of an HTTP answer, begun already unless the fault spares nothing."""

    async def part(self, reply: Reply) -> None:
        """Send half of a body that is no stream."""

    async def start(self, reply: Reply) -> None:
        """Send the head of a body that is no stream, without saying how long it will be."""

    async def whole(self, reply: Reply) -> None:
        """Send a body that is no stream."""

    async def beat(self) -> None:
        """Send what keeps the connection warm and says nothing."""

    async def end(self) -> None:
        """End a stream properly, without the provider's own end mark."""

    async def error(self) -> None:
        """End a stream with the provider's error event."""


class Transfer(Act):
    """The connection breaks."""

    @property
    def spared(self) -> int | None:
        """Tokens that are sent before (bytes, at the proxy); None: nothing, not even the head."""
        return None

    async def break_off(self, line: Line) -> None:
        """End a stream, or leave it open."""
        raise NotImplementedError

    async def break_plain(self, line: Line, reply: Reply) -> None:
        """Send a body that is no stream, broken at its middle."""
        await line.part(reply)
        await self.break_off(line)


@dataclass(frozen=True, kw_only=True)
class MidStream(Transfer):
    """A transfer that breaks when some of it is sent."""

    after: int = 2  # tokens sent before it strikes; bytes, at the proxy

    @property
    def spared(self) -> int | None:
        return self.after


class Transport(Transfer):
    """A transfer that needs no protocol."""

    dialects = EVERY | {TCP}

    async def strike(self, connection: Ends) -> None:
        """Do it to the connection."""
        raise NotImplementedError

    async def break_off(self, line: Line) -> None:
        await self.strike(line)


class Standing(Fault):
    """A state of the Ollama server; `models.py` and `ollama_host.py` know what it means."""

    dialects = OLLAMA


@dataclass(frozen=True, kw_only=True)
class OfModel(Standing):
    model: str | None = None  # only this model; None: every installed one


class Site(Protocol):
    """The ports of a server."""

    port: int

    def closed_port(self) -> int:
        """Return a port at which nobody listens."""

    def tls_port(self) -> int:
        """Return a port that speaks TLS, with a certificate that nobody knows."""


class Address(Fault):
    """The endpoint cannot be reached: `ChaosServer.broken_base(name, kind)` is such an address."""

    def url(self, site: Site) -> str:
        """Return the address, without a path."""
        raise NotImplementedError


async def silence() -> None:
    """Wait until the client leaves or the server closes; either cancels this."""
    await asyncio.get_running_loop().create_future()
