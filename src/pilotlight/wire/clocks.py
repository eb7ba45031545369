"""The clocks of one attempt, where they cannot be fooled: at the single socket operation.

A client library's read timeout starts anew with every byte, so a server that
sends keep-alives can hold a call for ever.  Here each read and write is given
what is left of the nearest of the attempt's own clocks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Final

import httpx

from pilotlight.wire.events.checked_scanner import CheckedScanner
from pilotlight.wire.events.forms import FORMS
from pilotlight.wire.events.scanner import BodyScanner, Scanner
from pilotlight.wire.events.server_sent import TOO_LONG, LineKeeper
from pilotlight.wire.tap import Clock, Tap, Wire
from pilotlight.wire.time_ledger import NOTICEABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD_LIMIT: Final = 16 * 1024
LENIENCE: Final = 1.0  # seconds at most for an answer that lay here when its time was over
LOOKS: Final = 3  # how often in one request: a server that never ends must not live by it
PATIENCE: Final = 1.0  # seconds for each thing that may follow the answer: usage, `[DONE]`, the end

_STREAM_TRUE: Final = re.compile(rb'"stream":\s*true').search
_STREAM_FALSE: Final = re.compile(rb'"stream":\s*false').search
_SEVERAL: Final = re.compile(rb'"(?:n|candidateCount)":\s*(?:[2-9]|1\d)').search
_NO_EVENTS: Final = ("audio/", "image/", "video/", "application/octet-stream")
STREAM_TYPES: Final = ("text/event-stream", "application/x-ndjson")


def asks_for_stream(request: httpx.Request, path: str, wire: str) -> bool:
    """Tell whether somebody else's request to a path wants its answer in pieces."""
    if "streamGenerateContent" in path:
        return True
    try:
        body = request.content
    except httpx.RequestNotRead:  # an upload that is itself a stream: nothing an LLM API knows
        return False
    if wire == "ollama" and path.endswith(("/api/chat", "/api/generate")):
        return not (b'"stream"' in body and _STREAM_FALSE(body))
    return b'"stream"' in body and _STREAM_TRUE(body) is not None


def asks_for_several(request: httpx.Request) -> bool:
    """Tell whether somebody else's request wants several answers at once; in doubt it does."""
    try:
        return _SEVERAL(request.content) is not None
    except httpx.RequestNotRead:
        return True


_PATHS: Final[tuple[tuple[str, Wire], ...]] = (
    ("/chat/completions", "openai"),
    ("/v1/messages", "anthropic"),
    ("enerateContent", "gemini"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama"),
)


@lru_cache(1024)
def dialect(path: str, wire: Wire) -> Wire:
    """Return the dialect of one request: Ollama and Gemini also have a door like OpenAI's."""
    if wire == "cohere" and path.endswith("/v1/chat"):  # its older API, of which no end is known
        return "other"
    return next((spoken for end, spoken in _PATHS if path.endswith(end)), wire)


class RequestMonitor:
    """One request on its way: fills the tap and knows how long the attempt may still take.

    `streaming` tells whether it asks for its answer in pieces, `several` for several answers.
    """

    __slots__ = (
        "_between",
        "_connect_until",
        "_dialect",
        "_first",
        "_left_at",
        "_looks",
        "_over",
        "_quiet_since",
        "_scanner",
        "_settled_until",
        "_several",
        "_total_until",
        "kept",
        "ledger",
        "settled",
        "streaming",
        "tap",
    )

    def __init__(self, tap: Tap, path: str, *, streaming: bool, several: bool = False) -> None:
        limits = tap.timeouts
        self.tap = tap
        self._dialect = dialect(path, tap.wire)
        if self._dialect == "other":
            tap.wire = "other"
        self.streaming = streaming
        self._several = several
        self.kept: LineKeeper | None = None  # what the reader is given is to go through it
        self._settled_until = inf  # pieces may come for so long
        self.settled = False  # the answer is over: whatever ends the body now ends it well
        self._scanner: Scanner | BodyScanner | None = None
        self._total_until = inf if limits.total is None else tap.started + limits.total
        self._first = inf if limits.first_token is None else limits.first_token
        self._between = inf if limits.between_tokens is None else limits.between_tokens
        self._connect_until = inf
        self._quiet_since = tap.started
        self._left_at: float | None = None  # when the consumer was last handed a piece
        self.ledger = tap.ledger
        self._over: tuple[Clock | None, float] = (None, 0.0)  # what has run out, and its length
        self._looks = LOOKS
        _start_afresh(tap)

    # The clocks.

    def connecting(self) -> None:
        """Start the clock of a new connection; the TLS handshake runs on it too."""
        connect = self.tap.timeouts.connect
        now = self.tap.clock()
        self._connect_until = inf if connect is None else now + connect
        self.ledger.mark("connect", now)

    def left(self, now: float, *, connecting: bool = False) -> tuple[float, Clock]:
        """Return the seconds that remain, and the clock that will be the first to end."""
        until, clock = self._total_until, "total"
        if self.streaming:
            between = self.tap.contents > 0
            quiet = self._quiet_since + (self._between if between else self._first)
            if quiet < until:
                until, clock = quiet, "between_tokens" if between else "first_token"
        if connecting and self._connect_until < until:
            until, clock = self._connect_until, "connect"
        return until - now, clock  # type: ignore[return-value]

    def check(self) -> None:
        """Refuse to go on with an attempt whose time is over."""
        seconds, clock = self.left(self.tap.clock())
        if seconds <= 0:
            self.ledger.begin()
            self.expire(clock, seconds)
            raise httpx.ReadTimeout(f"the {clock} clock ran out")

    def hurry(self, seconds: float) -> None:
        """Allow this much time from now on, where no more was left anyway."""
        self._total_until = min(self._total_until, self.tap.clock() + seconds)

    def expire(self, clock: Clock | None, seconds: float, *, reading: bool = False) -> float:
        """Note which clock (None: a client's own limit) ended an operation of so many seconds.

        Returns by how much this process was late, if it should look once more; else 0.
        """
        late = self.ledger.lateness(seconds)
        self._over = (clock, seconds if clock is None else getattr(self.tap.timeouts, clock))
        self._blame(silent=reading and not late)
        return late if reading and self._looks > 0 else 0.0

    def _blame(self, *, silent: bool) -> None:
        tap, (clock, length) = self.tap, self._over
        tap.expired = clock
        tap.starved = not self.ledger.fair(clock, length, silent=silent)

    def confirm(self) -> None:
        """Note that nothing had come, after a second look."""
        self._blame(silent=True)

    def forgive(self, late: float) -> None:
        """Let the attempt go on for a little: its answer was here in time, and nobody looked."""
        self._pardon()
        self.ledger.heard()
        until = self.tap.clock() + min(late, LENIENCE)
        self._total_until = max(self._total_until, until)
        patience = self._between if self.tap.contents else self._first
        self._quiet_since = max(self._quiet_since, until - patience)

    def reconnects(self) -> bool:
        """Tell whether to connect anew: the clock of the last connection ran out on ourselves."""
        own = self.tap.starved and self.tap.expired == "connect" and self._looks > 0
        if own:
            self._pardon()
            self.connecting()
        return own

    def _pardon(self) -> None:
        self._looks -= 1
        self.tap.expired, self.tap.starved = None, False

    def settle(self) -> None:
        """Wait only a little for what follows the answer's end, and take any end for a good one."""
        self.settled = True
        self._first = min(self._first, PATIENCE)
        self._between = min(self._between, PATIENCE)
        self._quiet_since = now = self.tap.clock()
        self._settled_until = now + 5 * PATIENCE

    # The answer.

    def answered(self, status: int, headers: Mapping[str, str], body: object) -> None:
        """Note the head of the response, names in lower case, and its body that is to be read."""
        tap = self.tap
        tap.body = body
        tap.first_byte_at = tap.clock()
        tap.status = status
        tap.headers = headers
        kind = headers.get("content-type", "")
        # An error is answered plainly whatever was asked for.
        tap.streaming = kind.startswith(STREAM_TYPES) or (self.streaming and status < 400)
        self.streaming = tap.streaming
        self._scanner = self._scanner_for(kind)
        if tap.streaming and tap.keeps_lines:
            self.kept = LineKeeper()

    def _scanner_for(self, kind: str) -> Scanner | BodyScanner:
        tap = self.tap
        if not tap.streaming:
            return BodyScanner(self._dialect)
        if tap.checks and self._dialect in FORMS and not kind.startswith(_NO_EVENTS):
            return CheckedScanner(self._dialect, several=self._several, skip=tap.skips)
        return Scanner(self._dialect)

    def resume(self) -> None:
        """Start to wait again; the time the consumer took is not the server's silence."""
        if self._left_at is not None:
            away = self.tap.clock() - self._left_at
            self._quiet_since += away
            self.ledger.away(away)
            self._left_at = None

    def saw(self, data: bytes) -> None:
        """Take note of a piece of the body, and of the time."""
        tap = self.tap
        tap.received += len(data)
        if len(tap.head) < HEAD_LIMIT:
            tap.head += data[: HEAD_LIMIT - len(tap.head)]
        if tap.gathers or not tap.streaming:
            tap.pieces.append(data)
        scanner = self._scanner
        assert scanner is not None
        now = tap.clock()
        if scanner.feed(data):
            tap.contents = scanner.contents
            tap.last_content_at = self._quiet_since = now
            self.ledger.content(now)
        if tap.streaming:  # a plain body says nothing before its end
            if scanner.terminal is not tap.terminal or scanner.troubled:
                self._note(scanner)
            if scanner.error:
                tap.in_band_error = scanner.error
        if self.settled:
            self._quiet_since = min(now, self._settled_until)
        elif now >= self._total_until:
            self._late_piece(now - self._total_until)
        self._left_at = now

    def _note(self, scanner: Scanner | BodyScanner) -> None:
        """Take note of an end, and of what can't be read."""
        tap = self.tap
        tap.terminal, tap.late = scanner.terminal, scanner.late
        tap.skipped = max(tap.skipped, scanner.skipped)
        if scanner.over and not self.settled:
            self.settle()
        if scanner.broken:
            tap.garbled = tap.garbled or scanner.broken
            tap.contents = scanner.contents
            if scanner.broken is TOO_LONG:
                raise httpx.RemoteProtocolError(TOO_LONG)

    def _late_piece(self, late: float) -> None:
        """Take a piece that has come although time is over, if it is this process that was late."""
        if late > NOTICEABLE and self._looks > 0:
            self.forgive(late)
        else:
            self.check()

    def ended(self) -> None:
        """Note that the body ended as HTTP says it should."""
        tap, scanner = self.tap, self._scanner
        assert scanner is not None
        scanner.finish()
        if isinstance(scanner, BodyScanner):
            tap.terminal = scanner.terminal
        else:
            tap.contents = scanner.contents
            self._note(scanner)
            tap.in_band_error = scanner.error
        tap.complete = True


def _start_afresh(tap: Tap) -> None:
    """Clear what an earlier request of the same attempt has left."""
    tap.requests += 1
    if tap.requests == 1:
        return
    tap.status = tap.first_byte_at = tap.last_content_at = None
    tap.headers = {}
    tap.head = tap.in_band_error = b""
    tap.unfit = tap.garbled = tap.late = ""
    tap.told = None
    tap.pieces = []
    tap.contents = tap.received = tap.skipped = 0
    tap.written = tap.streaming = tap.terminal = tap.complete = tap.broken = False
    tap.body = None
    tap.ledger.afresh()
