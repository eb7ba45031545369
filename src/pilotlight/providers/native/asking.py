"""An endpoint asked over our own connections, in the four call shapes.

litellm and the SDK below it spend several milliseconds of CPU on a call that is a few hundred
bytes of JSON in each direction.  What a provider can write by itself goes straight over the
target's own connections, past the same tap, and is judged by the same rules; every other call
is litellm's.  An answer is parsed once, and litellm's classes are made when asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from pilotlight.catalog import models
from pilotlight.core.provider import Answered, AsyncSource, Attempt, Call, Failed, Source
from pilotlight.diagnosis.report import failure, keyless_failure
from pilotlight.providers.attempt_target import AttemptTarget
from pilotlight.providers.connection import Connection
from pilotlight.providers.gather import agather, gather
from pilotlight.providers.litellm.provider import LiteLLMProvider
from pilotlight.providers.native.prepared import Prepared
from pilotlight.providers.native.stream import AsyncDirectSource, DirectSource
from pilotlight.providers.own_errors import status_error
from pilotlight.providers.pictures.answer import judged_pictures
from pilotlight.providers.reread import judged
from pilotlight.wire.http import Said, parsed
from pilotlight.wire.tap import Tap, Wire, new_tap


class DirectProvider(ABC):
    """Calls one endpoint by itself where it can, and through litellm where it can't."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.wire: Wire = connection.wire
        self.counts: bool | None = None  # whether streams are counted when asked; None: not known
        self._litellm = LiteLLMProvider(connection)

    @abstractmethod
    def prepared(self, call: Call, *, counted: bool = True) -> Prepared | None:
        """Return the request as it is sent; None if litellm is to send it.

        A stream's tokens are asked for, for the receipt, unless not `counted`.
        """

    def asks_for_count(self, call: Call) -> bool:
        """Tell whether to ask for the tokens of a stream on our own behalf."""
        return False

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
        shaped = asked.shaped(data)
        if call.operation == "image":
            model = self.connection.spec.bare_model
            found = judged_pictures(model, call, attempt, tap, shaped)
        else:
            found = judged(self.connection, call, attempt, tap, shaped)
        if isinstance(found, Answered) and asked.lost:
            return replace(found, facts=asked.told(found.facts))
        return found
