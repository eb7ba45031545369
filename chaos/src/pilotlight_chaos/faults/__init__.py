"""Every fault that can be set: one a file, and the one table of them.

A new one is a file here, a line in the table, and its words in `wording/` if it is a refusal:
see CREATING_FAULTS.md.  Where faults are set is `book.py`; who asks them is `play.py` for the
answers of the server, `proxy.py` for bytes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields

from .auth import Auth
from .base import (
    TCP,
    Act,
    Address,
    Delay,
    Fault,
    MidStream,
    OfModel,
    Pace,
    Refusal,
    Standing,
    Transfer,
    Transport,
    WithStatus,
    silence,
)
from .broken_event import BrokenEvent
from .busy import Busy
from .captive_portal import CaptivePortal
from .cloud_stub import CloudStub
from .cold import Cold
from .content_filter import ContentFilter
from .crash import Crash
from .cut import Cut
from .dns import Dns
from .drip import Drip
from .empty import Empty
from .eof import DoneFalse, Eof
from .error_body import ErrorBody
from .error_event import ErrorEvent
from .flapping import Flapping
from .garbage import Garbage
from .hang import Hang
from .keepalive_stall import KeepAliveStall
from .missing import Missing
from .oom import OutOfMemory
from .quota import Quota
from .rate_limit import RateLimit
from .refused import Refused
from .reset import Reset
from .retired import Retired
from .slow import Slow
from .stall import Stall
from .status import (
    BadGateway,
    BadRequest,
    Context,
    GatewayTimeout,
    HttpError,
    NotFound,
    Overloaded,
    Permission,
    ServerError,
    TooLarge,
    Unavailable,
)
from .substituted import Substituted
from .sunset import Sunset
from .tls import Tls
from .truncated_json import TruncatedJson
from .values import FaultError

__all__ = [
    "DIALECTS",
    "KINDS",
    "TCP",
    "Act",
    "Address",
    "Cold",
    "Context",
    "Delay",
    "Fault",
    "FaultError",
    "Kind",
    "MidStream",
    "OfModel",
    "Pace",
    "RateLimit",
    "Refusal",
    "Standing",
    "Transfer",
    "Transport",
    "WithStatus",
    "make_fault",
    "nearest",
    "parameters",
    "silence",
]

DIALECTS = ("openai", "anthropic", "gemini", "ollama")

_TABLE: tuple[type[Fault], ...] = (
    ServerError, BadGateway, Overloaded, Unavailable, GatewayTimeout, HttpError, Flapping,
    RateLimit, Quota, Auth, Permission, Retired, NotFound,
    Context, TooLarge, BadRequest, ContentFilter,
    Slow, Drip, Hang, Stall, KeepAliveStall, Cut, Reset, Eof, ErrorEvent, BrokenEvent,
    Garbage, CaptivePortal, TruncatedJson, Empty, ErrorBody, Substituted, Sunset,
    Missing, CloudStub, Cold, Busy, OutOfMemory, Crash, DoneFalse,
    Dns, Tls, Refused,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the table, as the command line and the control endpoint tell it."""

    name: str
    params: type[Fault]
    dialects: frozenset[str]
    what: str


KINDS: Mapping[str, Kind] = {
    each.kind: Kind(each.kind, each, each.dialects, each.about) for each in _TABLE
}


def make_fault(kind: str, params: Mapping[str, object]) -> Fault:
    """Build a checked fault from its name and parameters.

    Raises:
        FaultError: The kind, a parameter or a value is not known.
    """
    entry = KINDS.get(kind)
    if entry is None:
        raise FaultError(f"unknown fault {kind!r}{nearest(kind, KINDS)}")
    known = parameters(kind)
    for name in params:
        if name not in known:
            hint = nearest(name, known) or f" (it has: {', '.join(known)})"
            raise FaultError(f"fault {kind!r} has no parameter {name!r}{hint}")
    return entry.params(**params)  # type: ignore[arg-type]  # checked in __post_init__


def parameters(kind: str) -> dict[str, object]:
    """Name the parameters of a fault kind, with their defaults."""
    own = fields(KINDS[kind].params)
    return {each.name: None if each.default is MISSING else each.default for each in own}


def nearest(word: str, known: Mapping[str, object]) -> str:
    """Say which known word was probably meant, as the end of an error message."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
