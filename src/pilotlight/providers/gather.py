"""An unstreamed chat that is streamed underneath, and its answer put together.

Whoever asked sees a whole answer or a failed attempt, as ever: nothing was shown, so a break
in the middle is no more than a failure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Protocol

from pilotlight.core.provider import (
    Answered,
    AsyncSource,
    Attempt,
    Call,
    Ended,
    Failed,
    Provider,
    Source,
)
from pilotlight.diagnosis.report import failure
from pilotlight.providers.connection import Connection
from pilotlight.providers.gathering import Gathering
from pilotlight.providers.replies import ChatReply
from pilotlight.providers.reread import shown
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.clocks import STREAM_TYPES
from pilotlight.wire.events.marks import search_for
from pilotlight.wire.field_types import choices_of, mended
from pilotlight.wire.tap import Tap

_COUNTED: Final = search_for(rb'"usage":\s*\{|"usageMetadata":|"eval_count":')
# What whoever reads events finds in a body that holds none.
_UNREAD: Final = (Fault.EMPTY_RESPONSE, Fault.MALFORMED_RESPONSE, Fault.STREAM_TRUNCATED)
_SPACE: Final = b"\xef\xbb\xbf \t\r\n"
_HINT: Final = "; the answer was streamed underneath (`gather`)"


class Gatherer(Provider, Protocol):
    """A provider whose streams keep a record of the wire, in their `tap`."""

    connection: Connection


def gather(provider: Gatherer, call: Call, attempt: Attempt) -> Answered | Failed:
    """Ask once, as a stream, and judge the answer; plainly where the server won't stream it."""
    answer = _Answer(provider.connection, call, attempt)
    source: Any = provider.stream(_streamed(call), attempt)
    try:
        try:
            for chunk in source:
                answer.take(source, chunk)
            outcome = source.ended()
        except Exception as error:
            outcome = source.failed(error)
        if answer.is_plain(source.tap, outcome):
            source.tap.drain(past_the_end=True)
    finally:
        source.close()
    if (plainly := answer.refused(source.tap, outcome)) is not None:
        return provider.complete(call, plainly)
    return answer.judged(source.tap, outcome)


async def agather(provider: Gatherer, call: Call, attempt: Attempt) -> Answered | Failed:
    """As `gather`, for async."""
    answer = _Answer(provider.connection, call, attempt)
    source: Any = provider.astream(_streamed(call), attempt)
    try:
        try:
            async for chunk in source:
                answer.take(source, chunk)
            outcome = source.ended()
        except Exception as error:
            outcome = source.failed(error)
        if answer.is_plain(source.tap, outcome):
            await source.tap.adrain(past_the_end=True)
    finally:
        await source.aclose()
    if (plainly := answer.refused(source.tap, outcome)) is not None:
        return await provider.acomplete(call, plainly)
    return answer.judged(source.tap, outcome)


def _streamed(call: Call) -> Call:
    """Return the call as a stream; a whole answer has no holes, whatever the route allows."""
    return replace(call, stream=True, skip_broken=False)


class _Answer:
    """What has come of it, and what that means."""

    def __init__(self, connection: Connection, call: Call, attempt: Attempt) -> None:
        self._connection = connection
        self._call = call
        self._attempt = attempt
        self._gathering = Gathering()
        self._heard = False

    def take(self, source: Source | AsyncSource, chunk: Any) -> None:
        """Add a chunk; with the first that carries something, the target has been heard."""
        self._gathering.add(chunk.model_dump(exclude_none=True))
        if not self._heard and source.commits(chunk):
            self._heard = True
            self._attempt.heard()

    def is_plain(self, tap: Tap, outcome: Ended | Failed) -> bool:
        """Tell whether the server has sent, in place of a stream, what may be a whole answer.

        Whoever reads events may have found one in it, without its words.  Ollama's, a line of
        JSON, has been read as such, and its word on where the model ran.
        """
        unread = isinstance(outcome, Ended) or outcome.report.fault in _UNREAD
        if not unread or self._connection.wire == "ollama":
            return False
        streamed = tap.headers.get("content-type", "").startswith(STREAM_TYPES)
        if streamed or not b"".join(tap.pieces[:4]).lstrip(_SPACE).startswith(b"{"):
            return False
        tap.streaming, tap.garbled = False, ""  # whoever read it took it for events
        return True

    def refused(self, tap: Tap, outcome: Ended | Failed) -> Attempt | None:
        """Return the attempt to make plainly, in the time that is left, if no stream is given."""
        if isinstance(outcome, Ended) or not self._connection.streamable.refuses(self._call, tap):
            return None
        limits = self._attempt.timeouts
        if limits.total is not None:
            spent = tap.clock() - tap.started
            limits = replace(limits, total=max(0.0, limits.total - spent))
        return replace(self._attempt, gather=False, timeouts=limits)

    def judged(self, tap: Tap, outcome: Ended | Failed) -> Answered | Failed:
        """Return the whole answer, or what is wrong with it."""
        try:
            if not tap.streaming and (plain := self._plain(tap)) is not None:
                return plain
            if isinstance(outcome, Ended):
                return self._whole(tap, outcome)
        except Exception as odd:  # chunks of kinds that nobody promised
            return failure(self._attempt.target, tap, odd, self._call.messages, own=True)
        report = outcome.report
        if tap.expired in ("first_token", "between_tokens"):
            report = replace(report, evidence=report.evidence + _HINT)
        return Failed(report)  # nobody has seen what came of it

    def _whole(self, tap: Tap, ended: Ended) -> Answered:
        data, facts = mended(self._gathering.answer()), ended.facts
        choices_of(data)
        if not data.get("usage") or not _COUNTED(b"".join(tap.pieces)):  # litellm makes counts up
            self._connection.streamable.lossy = True
            data.pop("usage", None)
            facts = replace(facts, prompt_tokens=None, completion_tokens=None)
        return Answered(ChatReply(data, self._connection.spec.provider), facts)

    def _plain(self, tap: Tap) -> Answered | Failed | None:
        """Return what a server says that never streams; it is not asked to again.

        None: the body shows no chat's answer, good or bad.
        """
        found = shown(self._connection, self._call, self._attempt, tap)
        self._connection.streamable.lossy |= found is not None
        return found
