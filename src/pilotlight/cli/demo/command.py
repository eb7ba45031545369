"""`pilotlight demo`: watch calls survive an outage, on real calls through a real route."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilotlight import extras
from pilotlight.cli.number import Finite

if TYPE_CHECKING:
    from pilotlight.cli.demo.play import Play
    from pilotlight.cli.demo.tally import Tally


@click.command("demo")
@click.option(
    "--seconds",
    type=Finite(5, 600),
    default=20.0,
    show_default=True,
    help="How long it plays; phases and breaks scale with it.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Also write one self-contained HTML page.",
)
@click.option("--simulate", is_flag=True, help="Play the local model too, even if Ollama answers.")
@click.option(
    "--seed", type=int, default=0, help="Of the dice: the order of questions, the errors."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
def command(seconds: float, report: Path | None, simulate: bool, seed: int, as_json: bool) -> None:
    """Send questions through a route while its closed API fails, in about 20 seconds.

    The closed API is played by pilotlight-chaos on this machine; the local model is
    your own Ollama's where one answers, else it is played as well.  Exit code 0 only
    if every call was answered and the breaker was seen open, half-open and closed.
    """
    from pilotlight.cli.app import FAILED
    from pilotlight.cli.demo.play import Play, Script
    from pilotlight.cli.demo.tally import tally
    from pilotlight.cli.screen import print_json

    _require_chaos()
    _check_writable(report)
    with Play(Script(seconds, seed), simulate=simulate) as play:
        _prepare(play, quiet=as_json)
        _perform(play, quiet=as_json)
        result = tally(play)
    if report is not None:
        _write(report, play, result)
    if as_json:
        print_json(asdict(result) | {"ok": result.ok})
    else:
        _conclude(result, report)
    if not result.ok:
        raise click.exceptions.Exit(FAILED)


def _require_chaos() -> None:
    """Raise MissingExtra where the server that plays the closed API is not installed."""
    if not extras.installed("pilotlight_chaos"):
        raise extras.missing("pilotlight_chaos", "chaos", "the demo")


def _check_writable(report: Path | None) -> None:
    """Complain about the report's place before the show, not after it."""
    if report is not None and not report.absolute().parent.is_dir():
        raise click.UsageError(f"--report: {report.absolute().parent} is no folder")


def _prepare(play: Play, *, quiet: bool) -> None:
    """Import litellm and warm both targets up before the clock starts."""
    from rich.text import Text

    from pilotlight.cli.screen import out

    console = out()
    with _waiting("importing litellm, before the clock starts (a few seconds)", quiet):
        play.preload()
    with _waiting("one call to each target, to warm up", quiet):
        play.warm_up()
    if not quiet:
        console.print(Text(f"primary  openai/gpt-4o, {play.primary_says}"), soft_wrap=True)
        console.print(Text(f"local    {play.local_model}, {play.local_says}"), soft_wrap=True)


def _waiting(what: str, quiet: bool) -> AbstractContextManager[object]:
    from contextlib import nullcontext

    from rich.text import Text

    from pilotlight.cli.screen import out

    console = out()
    if quiet:
        return nullcontext()
    if console.is_terminal:
        return console.status(Text(what))
    console.print(Text(what), soft_wrap=True)
    return nullcontext()


def _perform(play: Play, *, quiet: bool) -> None:
    from pilotlight.cli.demo.live import LiveView, PlainView, Silence
    from pilotlight.cli.screen import out

    console = out()
    view: LiveView | PlainView | Silence
    if quiet:
        view = Silence()
    elif console.is_terminal:
        view = LiveView(play, console)
    else:
        view = PlainView(play, console)
    with view:
        play.run(view.tick)


def _write(report: Path, play: Play, result: Tally) -> None:
    from pilotlight.cli.demo.page import page

    try:
        report.write_text(page(play, result), "utf-8")
    except OSError as error:
        raise click.ClickException(f"{report}: can't be written: {error.strerror}") from None


def _conclude(result: Tally, report: Path | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from pilotlight.cli.screen import out

    console = out()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for label, value, note in result.rows():
        table.add_row(Text(label), Text(value, "bold"), Text(note))
    console.print()
    console.print(table)
    console.print()
    console.print(Text(result.verdict, "bold green" if result.ok else "bold red"), soft_wrap=True)
    for problem in result.problems:
        console.print(Text(f"  {problem}", "red"), soft_wrap=True)
    if report is not None:
        console.print(Text(f"report: {report}"), soft_wrap=True)
