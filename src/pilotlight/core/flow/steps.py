"""The words the flow and its drivers speak: what is to be done, and what came of it.

The flow yields a `Step`; a driver carries it out and sends the `Outcome` back:

    Attempt(target, ...)  ->  Answered | Opened | Failed
    Relay()               ->  Ended | Failed              (streams only)
    Pause(seconds)        ->  None
    Queue(ticket, ...)    ->  None                        (the ticket knows whether it was served)
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from pilotlight.core.breaker.turn import Turn
from pilotlight.core.bulkhead.bulkhead import Ticket
from pilotlight.core.provider import Answered, Attempt, Ended, Failed, Opened
from pilotlight.vocabulary.chunk import ChunkChoice


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before a retry."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Queue:
    """Wait for a place in the target's bulkhead, or for its fleet's word, at most this long."""

    ticket: Ticket | Turn
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand the chunks to the caller: from here on a failure can be seen.

    `restarted` is set when an earlier target's text has already been shown.
    """

    restarted: StreamRestarted | None = None


@dataclass(frozen=True, slots=True)
class StreamRestarted:
    """Stands in a stream where one target broke off and another starts anew.

    Everything yielded before it belongs to `from_target` and should be dropped.
    Only with `on_interrupt = "restart"`.
    """

    from_target: str
    to_target: str
    fault: str
    choices: tuple[ChunkChoice, ...] = ()  # code that skips chunks without choices skips this one


Step = Attempt | Pause | Queue | Relay
Outcome = Answered | Opened | Ended | Failed
Flow = Generator[Step, Outcome | None, Any]


def waiting(turn: Turn, longest: float) -> Generator[Step, Outcome | None]:
    """Wait for a turn, so many seconds at most, and give it back."""
    try:
        yield Queue(turn, min(turn.patience, longest))
    finally:
        turn.release()
