"""How a stream comes in each dialect: the wire that it is watched as, its events, its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final, cast

from pilotlight.dialects.base import Spoken
from pilotlight.wire.events.raw import Decoder, LineDecoder
from pilotlight.wire.events.server_sent import EventDecoder, NamedEventDecoder
from pilotlight.wire.tap import Wire


@dataclass(frozen=True, slots=True)
class Way:
    """One dialect on the wire.

    `last` is the start of the event that nothing of the answer follows; None: there is none.
    """

    wire: Wire
    events: Callable[[], Decoder]
    last: re.Pattern[bytes] | None = None


_DONE: Final = re.compile(rb"\[DONE\]")
_RESPONSE: Final = re.compile(rb'\{"type":\s*"response\.(?:completed|incomplete|failed)"')
_MESSAGE: Final = re.compile(rb'\{"type":\s*"message_stop"')
WAYS: Final[Mapping[str, Way]] = {
    "openai_chat": Way("openai", EventDecoder, _DONE),
    "openai_responses": Way("openai", EventDecoder, _RESPONSE),
    "anthropic_messages": Way("anthropic", NamedEventDecoder, _MESSAGE),
    "gemini": Way("gemini", EventDecoder),
    "ollama": Way("ollama", LineDecoder),
}


@cache
def dialect_named(name: str) -> Spoken:
    """Return a dialect by its name, both as a target and as what a caller speaks.

    Only those that are spoken are imported.
    """
    return cast("Spoken", import_module(f"pilotlight.dialects.{name}"))
