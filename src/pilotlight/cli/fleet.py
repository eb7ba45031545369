"""What the fleet knows: the board that processes share, read once and never written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich.console import Console
from rich.text import Text

from pilotlight.state.board import Entry
from pilotlight.state.notice import KEEP, Notice, read
from pilotlight.state.url import open_board

if TYPE_CHECKING:
    from pilotlight.assembly import Pilotlight

_STYLES: Final = {"open": "bold red", "half-open": "yellow", "closed": "green"}


@dataclass(frozen=True, slots=True)
class FleetNotice:
    """One endpoint on the board; `target` is None for one that this configuration has not.

    `seconds` are those until a trial may begin, `age` those since `by` said so; `trial`
    is the worker that may try.  Workers are a process id and a few letters.
    """

    target: str | None
    state: Literal["open", "half-open", "closed"]
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


def read_fleet(app: Pilotlight) -> FleetFacts | None:
    """Read the board once; None when the configuration shares nothing."""
    url = app.config.state
    if not url.shared:
        return None
    try:
        with closing(open_board(url)) as board:
            entries = board.exchange()
    except Exception as error:
        return FleetFacts(str(url), f"{type(error).__name__}: {error}")
    return FleetFacts(str(url), None, tuple(_notices(entries, _names(app))))


def _names(app: Pilotlight) -> dict[str, str]:
    """Return the targets' names by their endpoints' names on the board."""
    names: dict[str, list[str]] = {}
    for endpoint, health in app.registry.records.items():
        here = [name for name, target in app.targets.items() if target.health is health]
        names.setdefault(endpoint.board_key, []).extend(here)
    return {key: ", ".join(here) for key, here in names.items() if here}


def _notices(entries: Mapping[str, Entry], names: Mapping[str, str]) -> Iterator[FleetNotice]:
    for field, entry in entries.items():
        kind, _, key = field.partition(":")
        notice = read(Notice, entry.value) if kind == "break" else None
        if notice is None:
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


def show_fleet(console: Console, facts: FleetFacts) -> None:
    """Print the store, and the breakers that have moved lately."""
    line = Text.assemble(("fleet ", "dim"), (facts.store, "bold"))
    if facts.problem:
        line.append(f"\n      can't be read: {facts.problem}", "bold red")
    elif not facts.notices:
        line.append("  all closed", "green")
    for each in sorted(facts.notices, key=lambda notice: notice.target or "~"):
        line.append("\n      ")
        line.append(each.target or "another configuration's")
        line.append(f"  {each.state}", _STYLES[each.state])
        line.append(f"  {_told(each)}", "dim")
    console.print(line, soft_wrap=True)


def _told(notice: FleetNotice) -> str:
    said = f"by {notice.by}, {notice.age:.0f} s ago"
    if notice.state == "closed":
        return said
    trying = f"{notice.trial} may try" if notice.trial else "nobody tries yet"
    when = f"trial in {notice.seconds:.0f} s" if notice.seconds else trying
    return f"{notice.reason}; {when}; {said}"
