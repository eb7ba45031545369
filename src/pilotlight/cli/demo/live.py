"""The demo on a terminal: drawn live; in a pipe, a plain line for each change."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pilotlight.cli.demo.notes import TARGETS, CallNote, Line
from pilotlight.cli.demo.play import Play

if TYPE_CHECKING:
    from rich.console import RenderableType

LABEL = 10  # columns before a bar
BAR = 80  # columns of a bar: a quarter of a second each in 20 seconds
LOG = 7  # lines of the log that are shown
BREAKER = {"closed": "green", "open": "red", "half-open": "yellow"}
WHO = {"primary": "blue", "local": "dark_orange"}
KIND = {"phase": "bold", "breaker": "", "failover": "dim"}


class Silence:
    """Shows nothing."""

    def tick(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.tick()  # what came last


class PlainView(Silence):
    """Prints each phase, breaker transition and first failover as one line."""

    def __init__(self, play: Play, console: Console) -> None:
        self._play = play
        self._console = console
        self._printed = 0

    def tick(self) -> None:
        """Print what is new."""
        log = self._play.notes.log
        while self._printed < len(log):
            self._console.print(_log_line(log[self._printed]), soft_wrap=True)
            self._printed += 1


class LiveView(Silence):
    """Draws the targets, who answered when, and what happened last."""

    def __init__(self, play: Play, console: Console) -> None:
        self._play = play
        self._columns = max(20, min(BAR, console.width - LABEL - 1))
        self._states: list[str] = []
        self._live = Live(console=console, auto_refresh=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.tick()
        self._live.stop()

    def tick(self) -> None:
        """Draw it anew."""
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        play = self._play
        now = min(play.now, play.script.seconds)
        log = play.notes.log[-LOG:]
        filler = [Text("")] * (LOG - len(log))  # a picture that keeps its height does not jump
        head = Text(f"\n{now:4.1f} s  ", "dim") + Text(play.notes.phase, "bold")
        return Group(
            head,
            Text(""),
            self._table(),
            Text(""),
            self._bar("answered", self._answers(now)),
            self._bar("breaker", self._breakers(now)),
            self._ruler(),
            Text(""),
            *(_log_line(line) for line in log),
            *filler,
        )

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
        table.add_column("target", min_width=9)
        table.add_column("breaker", min_width=9)
        for heading in ("answered", "failed", "passed over", "in flight"):
            table.add_column(heading, justify="right")
        for target in self._play.route.targets:
            counts = self._play.notes.counts[target.name]
            state = str(target.health.breaker.current_state)
            table.add_row(
                Text(target.name, WHO[target.name]),
                Text(state, f"bold {BREAKER.get(state, '')}"),
                str(counts.served),
                str(counts.failed),
                str(counts.skipped),
                str(counts.in_flight),
            )
        return table

    def _bar(self, label: str, cells: Text) -> Text:
        return Text(f"{label:{LABEL}}", "dim") + cells

    def _answers(self, now: float) -> Text:
        """Return one cell a slice of time: who answered the calls that ended in it."""
        slices: list[list[CallNote]] = [[] for _ in range(self._columns)]
        for call in list(self._play.notes.calls):
            slices[self._column(call.ended)].append(call)
        bar = Text()
        for each in slices[: self._column(now) + 1]:
            bar.append(*_cell([call.served_by for call in each]))
        return bar

    def _breakers(self, now: float) -> Text:
        """Return the primary's breaker over time; a state shorter than a cell still shows."""
        here = self._column(now)
        states = [""] * self._columns
        current = "closed"
        changes = [c for c in list(self._play.notes.transitions) if c.target == TARGETS[0]]
        for column in range(here + 1):
            within = [c.new for c in changes if self._column(c.at) == column]
            states[column] = "half-open" if "half-open" in within else current
            current = within[-1] if within else current
            if not states[column] or (within and "half-open" not in within):
                states[column] = current
        glyphs = {"closed": "─", "open": "━", "half-open": "◆"}
        bar = Text()
        for state in states[: here + 1]:
            bar.append(glyphs[state], BREAKER[state])
        return bar

    def _ruler(self) -> Text:
        """Return the names of the phases, each where it begins."""
        cells = [" "] * (self._columns + 1)
        for phase in self._play.script.phases:
            start, end = self._column(phase.start), self._column(phase.end)
            name = f"╵{phase.name}"[: max(1, end - start)]
            cells[start : start + len(name)] = name
        return Text(" " * LABEL + "".join(cells), "dim")

    def _column(self, at: float) -> int:
        return min(self._columns - 1, int(at / self._play.script.seconds * self._columns))


def _cell(answered_by: Sequence[str]) -> tuple[str, str]:
    """Return glyph and style of one slice; told apart without colour, too."""
    if not answered_by:
        return "·", "dim"
    if "" in answered_by:
        return "✗", "bold red"
    local = answered_by.count("local")
    if 0 < local < len(answered_by):
        return "▓", WHO["local"]
    return ("▒", WHO["local"]) if local else ("█", WHO["primary"])


def _log_line(line: Line) -> Text:
    text = Text(f"{line.at:5.1f} s  {line.kind:9} ", "dim") + Text(line.text, KIND[line.kind])
    for state, colour in BREAKER.items():
        text.highlight_words([f"→ {state}"], f"bold {colour}")
    return text
