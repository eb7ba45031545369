"""OpenAI-style servers without litellm, where litellm would change nothing.

litellm and the SDK below it spend several milliseconds of CPU on a call that is a few hundred
bytes of JSON in each direction.  What `rules.py` knows to be sent unchanged goes straight
over the target's own connections, past the same tap, and is judged by the same rules; every
other call is litellm's.  An answer is parsed once, and litellm's classes are made when asked
for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from pilotlight.catalog import models
from pilotlight.catalog.providers import NO_KEY_NEEDED
from pilotlight.core.headers import clean_key
from pilotlight.core.provider import Answered, AsyncSource, Attempt, Call, Failed, Source
from pilotlight.diagnosis.report import failure, keyless_failure
from pilotlight.providers.attempt_target import AttemptTarget
from pilotlight.providers.connection import Connection
from pilotlight.providers.gather import agather, gather
from pilotlight.providers.litellm.clients import kind_of
from pilotlight.providers.litellm.provider import LiteLLMProvider
from pilotlight.providers.openai.prepared import Prepared, Reader
from pilotlight.providers.openai.rules import Dialect, body_of, litellm_has_hooks
from pilotlight.providers.openai.stream import (
    AsyncDirectSource,
    ChatReader,
    DirectSource,
)
from pilotlight.providers.own_errors import status_error
from pilotlight.providers.replies import flattened
from pilotlight.providers.reread import judged
from pilotlight.wire.http import Post, Said, dumped, parsed
from pilotlight.wire.tap import Tap, Wire, new_tap

STREAM_OPTIONS: Final = "stream_options"
PATH: Final = "/chat/completions"
# What the openai SDK sends of the environment.
_SDK_HEADERS: Final = {
    "OPENAI_ORG_ID": "openai-organization",
    "OPENAI_PROJECT_ID": "openai-project",
}


class DirectProvider:
    """Calls one endpoint by itself where that is the same, and through litellm where it is not."""

    wire: Wire = "openai"

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self.connection = connection
        self._dialect = dialect
        self.counts: bool | None = None  # whether streams are counted when asked; None: not known
        self._litellm = LiteLLMProvider(connection)

    def complete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return gather(self, call, attempt)
        if (asked := self.prepared(call)) is None:
            return self._litellm.complete(call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        tap = new_tap(self.wire, attempt.timeouts, watched=True)
        try:
            said = asked.send(tap, streaming=False)
            said.read()
            return self.judged(call, attempt, tap, asked, self.answer(said, asked.place.url))
        except Exception as error:
            return failure(attempt.target, tap, error, call.messages, own=True)

    async def acomplete(self, call: Call, attempt: Attempt) -> Answered | Failed:
        """Ask once and judge the answer."""
        if attempt.gather:
            return await agather(self, call, attempt)
        if (asked := self.prepared(call)) is None:
            return await self._litellm.acomplete(call, attempt)
        if (mend := self.connection.keyless) is not None:
            return keyless_failure(attempt.target.name, mend)
        tap = new_tap(self.wire, attempt.timeouts, watched=True)
        try:
            said = await asked.asend(tap, streaming=False)
            await said.aread()
            return self.judged(call, attempt, tap, asked, self.answer(said, asked.place.url))
        except Exception as error:
            return failure(attempt.target, tap, error, call.messages, own=True)

    def stream(self, call: Call, attempt: Attempt) -> Source:
        """Return the stream; the request is made by its first `next`."""
        if (asked := self.prepared(call)) is None or self.connection.keyless:
            return self._litellm.stream(call, attempt)
        return DirectSource(self, call, attempt, asked)

    def astream(self, call: Call, attempt: Attempt) -> AsyncSource:
        """Return the stream; the request is made by its first `anext`."""
        if (asked := self.prepared(call)) is None or self.connection.keyless:
            return self._litellm.astream(call, attempt)
        return AsyncDirectSource(self, call, attempt, asked)

    def handle(self, attempt: Attempt, asynchronous: bool) -> AttemptTarget:
        """Return what a decorated function is given."""
        return AttemptTarget(self.connection, attempt, asynchronous)

    def verify_local(self, attempt: Attempt) -> Failed | None:
        """The address was listed as local by the user: there is nobody else to ask."""
        return None

    async def averify_local(self, attempt: Attempt) -> Failed | None:
        """As `verify_local`."""
        return None

    def prepare(self) -> None:
        """Read the table of models: when they retire is asked of every answer."""
        models.table()

    # What the four shapes share.

    @property
    def url(self) -> str:
        """The address that chats are posted to."""
        base = self.connection.base_url.rstrip("/")
        return base if base.endswith(PATH) else base + PATH

    @cached_property
    def place(self) -> Post:
        """Where chats are posted to; its connections are opened by the first request."""
        connection = self.connection
        headers = {"authorization": f"Bearer {connection.api_key or NO_KEY_NEEDED}"}
        if kind_of(connection.spec.provider) == "openai":
            found = {v: (name, os.environ.get(v)) for v, name in _SDK_HEADERS.items()}
            headers |= {name: clean_key(value, v) for v, (name, value) in found.items() if value}
        pool = connection.pool
        assert pool is not None, "an endpoint without an address is litellm's"
        return Post(pool, self.url, headers)

    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; None if litellm is to send it.

        A stream's tokens are asked for, for the receipt, unless not `counted`.
        """
        if litellm_has_hooks():
            return None
        body = self.request(call)
        if body is None:
            return None
        if counted and self.asks_for_count(call):
            body["stream_options"] = {"include_usage": True}
        try:
            return Prepared(self.place, dumped(body), self.shaped, self.reader)
        except (TypeError, ValueError, RecursionError):  # an SDK's own objects, for instance
            return None

    def request(self, call: Call) -> dict[str, Any] | None:
        """Return the JSON of the request; None if litellm is to write it."""
        return body_of(self._dialect, self.connection.spec, call)

    def shaped(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return an answer in OpenAI's shape."""
        return flattened(data)

    def reader(self) -> Reader:
        """Return what makes chunks of the events of one stream."""
        return ChatReader()

    def asks_for_count(self, call: Call) -> bool:
        """Tell whether to ask for the tokens of a stream on our own behalf."""
        able = call.stream and STREAM_OPTIONS in self._dialect.options
        given = {**self.connection.spec.options, **call.options}.get(STREAM_OPTIONS)
        return able and given is None and self.counts is not False

    def answer(self, said: Said, url: str) -> dict[str, Any]:
        """Return the JSON of a success; raises what a refusal is to its callers."""
        if not said.is_success:
            raise self.refusal(said, url)
        return parsed(said.content)

    def refusal(self, said: Said, url: str) -> Exception:
        """Return the exception of an answer that is none."""
        spec = self.connection.spec
        return status_error(said, url, spec.provider, spec.bare_model)

    def judged(
        self, call: Call, attempt: Attempt, tap: Tap, asked: Prepared, data: dict[str, Any]
    ) -> Answered | Failed:
        """Hold an answer against the wire."""
        found = judged(self.connection, call, attempt, tap, asked.shaped(data))
        if isinstance(found, Answered) and asked.lost:
            return replace(found, facts=asked.told(found.facts))
        return found
