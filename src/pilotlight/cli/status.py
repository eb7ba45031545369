"""`pilotlight status`: the targets and routes, and how they are now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.cli.looking.facts import Survey
    from pilotlight.cli.looking.setting import Place


@click.command("status")
@click.option("--check", is_flag=True, help="Also ask closed providers for their free model lists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(config: Path | None, check: bool, as_json: bool) -> None:
    """Show targets and routes, and how they are now; `doctor` says what to do about it."""
    from pilotlight.cli.looking.setting import open_config, places
    from pilotlight.cli.looking.table import show
    from pilotlight.cli.screen import harmless, out, print_json

    with open_config(config) as app:
        seen = look(app, places(app), check)
    if as_json:
        facts = asdict(seen)
        del facts["litellm"]
        print_json(facts)
    else:
        show(out(), harmless(seen))


def look(app: Pilotlight, found: Collection[Place], ask: bool) -> Survey:
    """Look at everything at once; on a terminal, with a bar on stderr until it is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pilotlight.cli.looking.survey import survey
    from pilotlight.cli.screen import err

    columns = TextColumn("looking at targets"), BarColumn(), MofNCompleteColumn()
    console = err()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=len(found) + 1)  # and litellm
        return survey(app, found, ask=ask, tell=lambda: bar.advance(task))
