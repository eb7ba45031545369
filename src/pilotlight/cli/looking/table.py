"""One screen for targets and routes; its narrower forms leave out what `--json` still tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pilotlight.cli.looking.facts import RouteFacts, State, Survey, TargetFacts
from pilotlight.cli.looking.fleet import show_fleet
from pilotlight.cli.words import tokens

_STATES: Final[Mapping[State, tuple[str, str]]] = {
    "loaded": ("loaded", "bold green"),
    "installed": ("installed", "blue"),
    "ok": ("ok", "bold green"),
    "reachable": ("reachable", "green"),
    "missing": ("missing", "bold red"),
    "cloud": ("cloud!", "bold red"),
    "cant_chat": ("can't chat", "bold red"),
    "unreachable": ("unreachable", "bold red"),
    "auth_failed": ("auth failed", "bold red"),
    "no_key": ("no key", "bold red"),
    "retired": ("retired", "bold red"),
    "unknown": ("unknown", "yellow"),
}
NEAR: Final = 90  # days to a model's end that are shown in yellow; in red, a third of them
NARROW: Final = {"check": 98, "size": 90}  # columns of screen below which these are left out


def show(console: Console, seen: Survey) -> None:
    """Print the targets, then the routes, then what the fleet knows, and which file says so."""
    console.print(_targets(seen, console.width))
    console.print()
    for route in seen.routes:
        console.print(_route(route), soft_wrap=True)
    if not seen.routes:
        console.print(Text("no route: add a table [routes.chat]"), soft_wrap=True)
    if seen.fleet is not None:
        show_fleet(console, seen.fleet)
    for drill in seen.drills:
        line = Text.assemble(("drill ", "bold yellow"), (drill.id, "bold"), f"  {drill.told}")
        console.print(line, soft_wrap=True)
    if seen.config is not None:
        line = Text.assemble(("configuration ", "dim"), seen.config)
        console.print(line, soft_wrap=True)
    if checks := [facts.check for facts in seen.targets if facts.check]:
        told = f"looked at on {checks[0].at[:10]} at {checks[0].at[11:19]} UTC"
        console.print(Text(told, "dim"), soft_wrap=True)


def _targets(seen: Survey, width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    longest = max((len(facts.model) for facts in seen.targets), default=0)
    columns = [name for name in _CELLS if width >= NARROW.get(name, 0)]
    for heading in columns:
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=heading not in ("target", "retires"),
            width=max(6, min(longest, width // 3)) if heading == "target" else None,
        )
    for facts in seen.targets:
        table.add_row(*(_CELLS[heading](facts) for heading in columns))
    return table


def _lines(first: str, style: str, second: str = "", other: str = "dim") -> Text:
    """Return a cell of one or two lines."""
    return Text.assemble((first, style), (f"\n{second}" if second else "", other))


def _name(facts: TargetFacts) -> Text:
    return _lines(facts.name, "bold", facts.model)


def _state(facts: TargetFacts) -> Text:
    word, style = _STATES[facts.state]
    where = "local" if facts.local and facts.state in ("loaded", "installed") else ""
    away = urlsplit(facts.runs_on or "").hostname or facts.runs_on
    return _lines(word, style, f"→ {away}" if away else where)


def _context(facts: TargetFacts) -> Text:
    context = facts.context
    if context == type(context)():
        return Text("-", "dim")
    answers = facts.state in ("loaded", "installed") or context.trained
    most = f" of {tokens(context.trained)}" if facts.local and answers else ""
    first = f"{tokens(context.sent)}{most}", "yellow" if context.capped else ""
    loaded = f"loaded: {tokens(context.loaded)}" if facts.state == "loaded" else ""
    return _lines(*first, loaded, "yellow" if context.differs else "dim")


def _slots(facts: TargetFacts) -> Text:
    if facts.slots is None:
        return Text("-", "dim")
    return _lines(str(facts.slots), "", f"+{facts.queue} wait")


def _size(facts: TargetFacts) -> Text:
    if facts.size is None or facts.state == "cloud":
        return Text("?" if facts.state in ("loaded", "installed") else "-", "dim")
    size = f"{facts.size / 1e9:.1f} GB"
    if facts.state != "loaded":
        return Text(size)
    share = facts.vram_share
    vram = "? in VRAM" if share is None else f"{share:.0%} VRAM" if share else "CPU only"
    return _lines(size, "", vram, "yellow" if share is not None and share < 1 else "dim")


def _check(facts: TargetFacts) -> Text:
    if facts.check is None:
        return Text("-", "dim")
    seconds = facts.check.seconds
    return Text(f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms")


def _retires(facts: TargetFacts) -> Text:
    end = facts.retirement
    if end.days is None:
        return Text("-", "dim")
    left = f"in {end.days} days" if end.days > 0 else f"since {end.day}"
    style = "red" if end.days <= NEAR // 3 else "yellow" if end.days <= NEAR else ""
    instead = f"→ {end.replacement}\n" if end.replacement else ""
    return _lines(left, style, f"{instead}{(end.source or '').removeprefix('the ')}")


_CELLS: Final[Mapping[str, Callable[[TargetFacts], Text]]] = {
    "target": _name,
    "state": _state,
    "context": _context,
    "slots": _slots,
    "size": _size,
    "check": _check,
    "retires": _retires,
}


def _route(route: RouteFacts) -> Text:
    limit = f"deadline {route.total_timeout:g} s" if route.total_timeout else "no deadline"
    line = Text.assemble(("route ", "dim"), (route.name, "bold"))
    line.append(f"  {' → '.join(route.targets)}")
    line.append(f"  {limit}", "dim")
    line.append("  private" if route.private else "", "cyan")
    for name, lost in route.gaps.items():
        line.append(f"\n      {name} can't do {', '.join(lost)}", "yellow")
    return line
