"""One request that is ready to be sent, and what reads its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from pilotlight.core.provider import Facts
from pilotlight.providers import shapes
from pilotlight.wire.events.server_sent import EventDecoder
from pilotlight.wire.tap import Tap
from pilotlight.wire.trace_context import trace_headers

if TYPE_CHECKING:
    from pilotlight.wire.http import Post, Said


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it is sent, and how what comes back is read.

    `headers` are those of this request alone; `lost` is what of the call it could not carry.
    """

    place: Post
    body: bytes = field(repr=False)
    shaped: Callable[[dict[str, Any]], dict[str, Any]]
    reader: Callable[[], Reader]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    lost: tuple[str, ...] = ()

    def send(self, tap: Tap, *, streaming: bool) -> Said:
        """Send it; the body of the answer is still to be read."""
        return self.place.send(self.body, tap, streaming=streaming, more=self._more())

    async def asend(self, tap: Tap, *, streaming: bool) -> Said:
        """The same for async."""
        return await self.place.asend(self.body, tap, streaming=streaming, more=self._more())

    def told(self, facts: Facts) -> Facts:
        """Return the facts of its answer with what was lost."""
        return replace(facts, lost=self.lost) if self.lost else facts

    def _more(self) -> Mapping[str, str]:
        return {**trace_headers(), **self.headers} if self.headers else trace_headers()


class Reader(Protocol):
    """Makes OpenAI's chunks of one stream's events."""

    events: EventDecoder

    def odd(self, event: dict[str, Any]) -> str:
        """Return what of an event does not have its form; "" if everything has."""

    def chunk(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Return the chunk of an event, or None if it has nothing to say to a reader."""

    def last(self) -> dict[str, Any] | None:
        """Return what was held back until the stream was over."""

    def uncounted(self, chunk: shapes.Shape) -> shapes.Shape | None:
        """Return a chunk without the tokens; None if nothing is left of it."""
