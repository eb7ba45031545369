"""What the fleet knows, for people: the board that processes share, read once and never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from pilotlight.state.board import Entry
from pilotlight.state.notice import KEEP, Notice, read
from pilotlight.state.url import StateUrl, open_board


@dataclass(frozen=True, slots=True)
class FleetNotice:
    """One endpoint on the board; `target` is None for one that this configuration has not.

    `seconds` are those until a trial may begin, `age` those since `by` said so; `trial`
    is the worker that may try.  Workers are a process id and a few letters.  `suspected`: by
    calls in flight and failures, while the breaker is closed.
    """

    target: str | None
    state: Literal["open", "half-open", "closed", "suspected"]
    reason: str
    seconds: float
    age: float
    by: str
    trial: str | None


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """A store and what stands there; `problem` is why it could not be read."""

    store: str
    problem: str | None = None
    notices: tuple[FleetNotice, ...] = ()


def read_fleet(url: StateUrl, names: Mapping[str, str]) -> FleetFacts:
    """Read the board once; `names` are the targets' by their endpoints' names on the board."""
    try:
        with closing(open_board(url)) as board:
            entries = board.exchange()
    except Exception as error:
        return FleetFacts(str(url), f"{type(error).__name__}: {error}")
    return FleetFacts(str(url), None, tuple(_notices(entries, names)))


def _notices(entries: Mapping[str, Entry], names: Mapping[str, str]) -> Iterator[FleetNotice]:
    for field, entry in entries.items():
        kind, _, key = field.partition(":")
        notice = read(Notice, field, entry) if kind in ("break", "doubt") else None
        if notice is None:
            continue
        if kind == "doubt":
            age = round(entry.age, 1)
            yield FleetNotice(names.get(key), "suspected", "", 0.0, age, notice.by, None)
            continue
        lease = entries.get(f"trial:{key}")
        left = max(0.0, entry.left - KEEP) if notice.state == "open" else 0.0
        state: Literal["open", "half-open", "closed"] = notice.state
        if notice.state == "open" and not left:
            state = "half-open"
        yield FleetNotice(
            names.get(key),
            state,
            notice.reason,
            round(left, 1),
            round(entry.age, 1),
            notice.by,
            lease.value if lease else None,
        )
