"""Asks an endpoint in the words of a caller who speaks its dialect, and judges the answer.

The body goes out as it came, and the answer's bytes come back as they came, while they are read
and judged like those of any other call.  So what only this API knows survives: signatures, cache
marks, its own tools, the fields of next year.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.provider import (
    Answered,
    AsyncSource,
    Attempt,
    Call,
    Facts,
    Failed,
    Original,
    Source,
)
from pilotlight.diagnosis.report import failure
from pilotlight.dialects.base import Asked
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.native.reading import NativeReader, read_answer
from pilotlight.providers.relay.body import body_for, for_ollama
from pilotlight.providers.relay.source import AsyncRelaySource, RelaySource
from pilotlight.providers.relay.spoken import is_home
from pilotlight.providers.relay.ways import WAYS, dialect_named
from pilotlight.providers.replies import ChatReply
from pilotlight.providers.reread import judged
from pilotlight.wire.events.raw import RawEvents
from pilotlight.wire.http import Post, Said, parsed
from pilotlight.wire.tap import Tap, Wire, listening, new_tap

if TYPE_CHECKING:
    from pilotlight.providers.connection import Connection
    from pilotlight.providers.native.manners import Manners
    from pilotlight.providers.ollama.provider import OllamaProvider


class Refusal(Exception):
    """An endpoint's own refusal as it came, for a caller who speaks its dialect."""

    def __init__(self, target: str, dialect: str, said: Said) -> None:
        super().__init__(f"{target} refused: HTTP {said.status_code}")
        self.target = target
        self.dialect = dialect
        self.status_code = said.status_code
        self.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in said.headers}
        self.body = said.content


@dataclass(frozen=True, slots=True)
class RelayedReply(ChatReply):
    """A chat's answer, and the bytes that it came as."""

    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Relay:
    """Asks one endpoint in one dialect, in the four call shapes.

    `counts`: whether streams are counted when asked; None: not known yet.
    """

    def __init__(self, provider: Any, dialect: str) -> None:
        self.connection: Connection = provider.connection
        self._provider = provider
        self.counts: bool | None = None
        self.way = WAYS[dialect]
        self.wire: Wire = self.way.wire
        self.dialect = dialect_named(dialect)
        self._posts: dict[str, Post] = {}

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        asked = self.prepared(call)
        tap = new_tap(self.wire, attempt.timeouts, watched=True)
        try:
            with listening(tap):
                self.prove(call)
            said = asked.send(tap, streaming=False)
            said.read()
            return self._judged(call, attempt, tap, asked, said)
        except Exception as error:
            return self.failed(call, attempt, tap, error)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        asked = self.prepared(call)
        tap = new_tap(self.wire, attempt.timeouts, watched=True)
        try:
            with listening(tap):
                await self.aprove(call)
            said = await asked.asend(tap, streaming=False)
            await said.aread()
            return self._judged(call, attempt, tap, asked, said)
        except Exception as error:
            return self.failed(call, attempt, tap, error)

    def stream(self, call: Call, attempt: Attempt) -> Source:
        """Return the stream; the request is made by its first `next`."""
        return RelaySource(self, call, attempt, self.prepared(call))

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource:
        """Return the stream; the request is made by its first `anext`."""
        return AsyncRelaySource(self, call, attempt, self.prepared(call))

    # What the four shapes share.

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared:
        """Return the request as it is sent.

        A stream's tokens are asked for, for the receipt, unless not `counted`.
        """
        original = original_of(call)
        asked = Asked(
            self.connection.spec.bare_model, f"chatcmpl-{os.urandom(12).hex()}", int(time.time())
        )
        more = dict(self.connection.spec.options)
        if counted and self.asks_for_count(call):
            more["stream_options"] = {"include_usage": True}
        return Prepared(
            self._place(call, original),
            self.body(original, more),
            partial(read_answer, self.dialect, asked),
            partial(self._reader, asked, alone=call.options.get("n") in (None, 1)),
            self._headers(original),
        )

    def body(self, original: Original, more: Mapping[str, Any]) -> bytes:
        """Return the body as it is sent."""
        known = self.way.wire == "gemini" or self.is_home(original)
        return body_for(original, None if known else self.connection.spec.bare_model, more)

    def _reader(self, asked: Asked, alone: bool) -> Any:
        """Return what reads the events; they keep their bytes."""
        events: Any = RawEvents(self.way.events())
        return NativeReader(self.dialect.reader(asked), events, alone)

    def _place(self, call: Call, original: Original) -> Post:
        """Return where it is posted to; its connections are opened by the first request."""
        home = original.home if self.is_home(original) else None
        key = str(call.stream) if home is None else home.url
        if (post := self._posts.get(key)) is None:
            assert self.connection.pool is not None, "who has no address is not relayed to"
            url, headers = self.address(call) if home is None else (home.url, {})
            post = self._posts[key] = Post(self.connection.pool, url, headers)
        return post

    def _headers(self, original: Original) -> Mapping[str, str]:
        home = original.home if self.is_home(original) else None
        return original.headers if home is None else home.headers

    def is_home(self, original: Original) -> bool:
        """Tell whether this is the endpoint that the caller's own client would have asked."""
        return is_home(self._provider, original)

    def address(self, call: Call) -> tuple[str, dict[str, str]]:
        """Return where it is asked, and the headers that its key wants."""
        connection = self.connection
        manners: Manners = self._provider.manners_in(self.dialect.name)
        url = manners.url(connection.base_url, connection.spec.bare_model, call.stream)
        return url, manners.headers(connection.api_key or NO_KEY_NEEDED)

    def asks_for_count(self, call: Call) -> bool:
        """Tell whether to ask for the tokens of a stream on our own behalf."""
        counts = self.dialect.name == "openai_chat" and self.counts is not False
        return call.stream and counts and "stream_options" not in original_of(call).said

    def refusal(self, said: Said, url: str) -> Exception:
        """Return the exception of an answer that is none."""
        return Refusal(self.connection.spec.name, self.dialect.name, said)

    def failed(
        self,
        call: Call,
        attempt: Attempt,
        tap: Tap,
        error: Exception,
        partial: str = "",
        tools: bool = False,
    ) -> Failed:
        """Diagnose what an attempt raised."""
        return failure(attempt.target, tap, error, call.messages, partial, tools, own=True)

    def prove(self, call: Call) -> None:
        """Make sure, before a private prompt goes out, that the model is at home."""

    async def aprove(self, call: Call) -> None:
        """As `prove`."""

    def check(self, call: Call, said: bytes) -> None:
        """Refuse the JSON of an answer, or of a piece of one, that must not be handed on."""

    def is_last(self, said: bytes) -> bool:
        """Tell the event that nothing of the answer follows."""
        return self.way.last is not None and self.way.last.match(said) is not None

    def half_read(
        self, call: Call, attempt: Attempt, tap: Tap, read: int | None, partial: str = ""
    ) -> Failed | None:
        """Refuse an answer to a part of the prompt."""
        return None

    def _judged(
        self, call: Call, attempt: Attempt, tap: Tap, asked: Prepared, said: Said
    ) -> Answered | Failed:
        if not said.is_success:
            raise self.refusal(said, asked.place.url)
        data = parsed(said.content)
        self.check(call, said.content)
        found = judged(self.connection, call, attempt, tap, asked.shaped(data))
        if isinstance(found, Failed):
            return found
        facts = relayed(found.facts, call)
        if (half := self.half_read(call, attempt, tap, facts.prompt_tokens)) is not None:
            return half
        provider = self.connection.spec.provider
        return Answered(RelayedReply(found.value.data, provider, said.content, tap.headers), facts)


class OllamaRelay(Relay):
    """The same for Ollama: a private prompt needs proof, and none may be read in part."""

    def __init__(self, provider: OllamaProvider, dialect: str) -> None:
        super().__init__(provider, dialect)
        self._ollama = provider

    def address(self, call: Call) -> tuple[str, dict[str, str]]:
        """Return where it is asked, and the headers that its key wants."""
        key = self.connection.spec.api_key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return f"{self.connection.base_url}/api/chat", headers

    def body(self, original: Original, more: Mapping[str, Any]) -> bytes:
        """Return the body as it is sent."""
        connection = self.connection
        spec = connection.spec
        return for_ollama(original, spec.bare_model, connection.context, spec.keep_alive)

    def failed(
        self,
        call: Call,
        attempt: Attempt,
        tap: Tap,
        error: Exception,
        partial: str = "",
        tools: bool = False,
    ) -> Failed:
        """Diagnose what an attempt raised."""
        return self._ollama.failed(attempt, tap, error, call, partial, tools)

    def prove(self, call: Call) -> None:
        """Ask the server whether the model is its own, before a private prompt goes to it."""
        self._ollama.prove(call)

    async def aprove(self, call: Call) -> None:
        """As `prove`."""
        await self._ollama.aprove(call)

    def check(self, call: Call, said: bytes) -> None:
        """Refuse a private answer that was given elsewhere: a stub has replaced the model."""
        if call.private and b'"remote_' in said:
            self._ollama.check_home(parsed(said))

    def half_read(
        self, call: Call, attempt: Attempt, tap: Tap, read: int | None, partial: str = ""
    ) -> Failed | None:
        """Refuse an answer to a prompt of which the server has read only a part."""
        return self._ollama.half_read(call, attempt, tap, read, partial)


def relayed(facts: Facts, call: Call) -> Facts:
    """Return the facts of an answer to the caller's own words, of which nothing was lost."""
    return replace(facts, relayed=True) if original_of(call).lost else facts


def original_of(call: Call) -> Original:
    """Return the caller's own words of a call that has them."""
    assert call.original is not None, "a call without a dialect of its own is not relayed"
    return call.original


def relay_for(provider: Any, dialect: str) -> Relay:
    """Return who asks this provider's endpoint in a dialect; made at first use."""
    known: dict[str, Relay] = provider.connection.relays
    if (relay := known.get(dialect)) is None:
        kind: Any = OllamaRelay if dialect == "ollama" else Relay
        relay = known[dialect] = kind(provider, dialect)
    return relay
