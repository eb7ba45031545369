"""What the fleet knows, as `pilotlight status` prints it."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from pilotlight.state.facts import FleetFacts, FleetNotice

_STYLES: Final = {
    "open": "bold red",
    "half-open": "yellow",
    "closed": "green",
    "suspected": "yellow",
}


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
    if notice.state in ("closed", "suspected"):
        return said
    trying = f"{notice.trial} may try" if notice.trial else "nobody tries yet"
    when = f"trial in {notice.seconds:.0f} s" if notice.seconds else trying
    return f"{notice.reason}; {when}; {said}"
