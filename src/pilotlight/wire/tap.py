"""The record of one attempt: what was really said on the wire.

The transport (`transport.py`) writes it while the bytes go by; `classify.py` reads
it.  litellm and the SDKs rewrite statuses, drop headers and make up finish
reasons, so this is the first witness and their exception only the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pilotlight.core.provider import Timeouts
from pilotlight.errors import ProviderFault
from pilotlight.wire.time_ledger import Ledger

Wire = Literal["openai", "anthropic", "gemini", "cohere", "ollama", "stability", "other"]
"""The dialect spoken; "openai" also covers Mistral, Groq and every compatible server."""

Clock = Literal["connect", "first_token", "between_tokens", "total"]


@dataclass(slots=True)
class Tap:
    """What one attempt asked for and what came back, byte for byte where it matters.

    Times are readings of `clock` in seconds.  A second HTTP request within the
    attempt (a hidden retry, a redirect) starts the response fields afresh and
    shows in `requests`.
    """

    wire: Wire
    timeouts: Timeouts
    clock: Callable[[], float] = time.monotonic
    checks: bool = True  # whether each event is read in passing; our own readers do it themselves
    keeps_lines: bool = False  # whether the reader has to be kept from cutting events in two
    json_only: bool = False  # whether a large body that is no JSON is kept from the reader
    skips: bool = False  # whether a broken event is left out, as the route's user wants it
    gathers: bool = False  # whether the stream is put together to one answer, and kept for that
    started: float = field(init=False)
    ledger: Ledger = field(init=False)  # whose time it was

    requests: int = 0  # HTTP requests begun; more than one means hidden retries
    written: bool = False  # whether a byte of the last of them was given to a socket
    watched: bool = False  # no request of this attempt can go out without being seen here
    status: int | None = None  # the true status of the last response
    headers: Mapping[str, str] = field(default_factory=dict)  # of that response, names lower-case
    head: bytes = b""  # the first kilobytes of its body
    pieces: list[bytes] = field(default_factory=list, repr=False)  # of a body that is kept
    first_byte_at: float | None = None
    streaming: bool = False  # the response is an event stream or NDJSON
    contents: int = 0  # content events seen in a stream (not keep-alives, not pings)
    last_content_at: float | None = None
    terminal: bool = False  # the dialect's own end mark was seen
    garbled: str = ""  # why an event before the end mark can't be read; nothing after it counts
    late: str = ""  # the same of an event after it, which takes nothing from the answer
    skipped: int = 0  # such events that were left out because `skips`
    in_band_error: bytes = b""  # an error event inside a stream, as it was sent
    received: int = 0  # body bytes, inflated
    complete: bool = False  # the HTTP body ended as HTTP says it should
    broken: bool = False  # reading the body failed
    unfit: str = ""  # why its body was not read on: too large, or in an unknown coding
    expired: Clock | None = None  # which of our own clocks ended the attempt
    starved: bool = False  # time was over, but the provider had less than half of it
    refused_host: str | None = None  # a host that was not the target's, and was not contacted
    address_mismatch: str = ""  # where the host's name led in place of home; nothing was sent there
    body: Any = None  # the response body being read, so that it can be let go of
    loading: float = 0.0  # seconds until the server had the model, by its own word
    told: ProviderFault | None = None  # what our own reader finds wrong with an answer
    target: Callable[[], Any] | None = None  # what a decorated function is given; None when gone

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Let the attempt's time begin now."""
        self.started = self.clock()
        self.ledger = Ledger(self.clock, self.started)

    @property
    def whole(self) -> bytes:
        """A plain body that has been read to its end; empty otherwise."""
        return b"".join(self.pieces) if self.complete and not self.streaming else b""

    @property
    def spoilt(self) -> str:
        """Why nothing more of the stream may be handed on, whatever a library makes of it."""
        return self.garbled or ("an error in the stream" if self.in_band_error else "")

    def garble(self, what: str, *, begun: bool) -> None:
        """Note that the reader met an event that it can't read; `begun`: after some content."""
        self.garbled, self.terminal, self.contents = what, False, int(begun)

    def drain(self, *, past_the_end: bool = False) -> None:
        """Read on to the end mark where a library has stopped before it.

        `past_the_end`: to HTTP's own end.  The attempt's clocks hold; a failure is in the record
        and not raised.
        """
        with suppress(Exception):
            while not self._settled(past_the_end):
                next(self.body)

    async def adrain(self, *, past_the_end: bool = False) -> None:
        """The same for async."""
        with suppress(Exception):
            while not self._settled(past_the_end):
                await anext(self.body)

    def _settled(self, past_the_end: bool) -> bool:
        """Tell whether the wire has nothing more to say."""
        over = (self.terminal and not past_the_end) or self.complete or self.broken
        return over or self.body is None or bool(self.garbled)

    def close(self) -> None:
        """Give the connection back although nobody has read to the end."""
        body, self.body = self.body, None
        if body is not None:
            body.close()

    async def aclose(self) -> None:
        """The same for async."""
        body, self.body = self.body, None
        if body is not None:
            await body.aclose()


EVENT_SKIPPED: Final = "event_skipped"  # in the flags of an attempt


def skips_of(tap: Tap) -> tuple[str, ...]:
    """Return the flag of a stream of which a broken event was left out."""
    return (EVENT_SKIPPED,) if tap.skipped else ()


current_tap: ContextVar[Tap | None] = ContextVar("pilotlight_tap", default=None)
"""The attempt that this thread or task is working for, set around each step into a provider."""


class listening:  # noqa: N801  # a context manager, and around every chunk: a class is cheaper
    """Let the requests made inside the block write to this attempt's tap."""

    __slots__ = ("_tap", "_token")

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def __enter__(self) -> Tap:
        self._token = current_tap.set(self._tap)
        return self._tap

    def __exit__(self, *error: object) -> None:
        try:  # noqa: SIM105  # `suppress` costs more, and this is around every chunk
            current_tap.reset(self._token)
        except ValueError:
            pass  # the garbage collector ends the step, in a context that has none of this


def new_tap(
    wire: Wire,
    timeouts: Timeouts,
    *,
    watched: bool = False,
    checks: bool = True,
    skips: bool = False,
    gathers: bool = False,
) -> Tap:
    """Return the record of an attempt that starts now; the flags are those of `Tap`."""
    clock = time.monotonic
    return Tap(wire, timeouts, clock, checks, skips=skips, watched=watched, gathers=gathers)
