"""`pilotlight drill`: a game day in the applications that run on this configuration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilotlight.cli.number import Finite

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.core.drills.schedule import GameDay
    from pilotlight.state.drill_board import DrillBoard
    from pilotlight.state.drill_file import DrillFile

MOST_MINUTES = 24 * 60


@click.command("drill")
@click.option("--target", metavar="NAME", help="Who is refused: a target, a model or a provider.")
@click.option("--route", metavar="NAME", help="Only the calls of this route.")
@click.option(
    "--minutes",
    type=Finite(0, MOST_MINUTES, min_open=True),
    default=5.0,
    show_default=True,
    help="When it ends by itself.",
)
@click.option(
    "--rate",
    type=Finite(0, 1, min_open=True),
    default=0.2,
    show_default=True,
    help="The share of calls that is refused.",
)
@click.option("--yes", is_flag=True, help="Also where a route is left without another target.")
@click.option("--stop", is_flag=True, help="End all drills.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    config: Path | None,
    target: str | None,
    route: str | None,
    minutes: float,
    rate: float,
    yes: bool,
    stop: bool,
    as_json: bool,
) -> None:
    """Let running applications find a target refused; without options, list what is under way.

    Nothing is sent to anybody. The applications that run on this configuration notice within
    a second or so.
    """
    from pilotlight.cli.looking.setting import open_config
    from pilotlight.cli.screen import print_json
    from pilotlight.errors import ConfigError
    from pilotlight.gamedays import plan

    if stop and (target or route):
        raise click.UsageError("--stop ends all drills; leave --target and --route out")
    if route and not target:
        raise click.UsageError("name who is to be refused, with --target")
    with open_config(config) as app:
        file = board_of(app)
        try:
            if stop:
                file.clear()
            elif target:
                file.post(
                    plan(app, file.days.under_way, target, route, 60 * minutes, rate, alone=yes)
                )
        except OSError as error:
            raise ConfigError(f"{error.filename or file.path}: {error.strerror}") from None
        if as_json:
            days = [asdict(day) for day in file.days.under_way]
            print_json({"file": str(file.path), "problem": file.problem, "drills": days})
        else:
            _tell(file)


def board_of(app: Pilotlight) -> DrillFile | DrillBoard:
    """Return where drills are posted, and what is under way there.

    It is the board for all processes that share a `state`, else the file for those that use this
    configuration.  Raises ConfigError for a board that can't be read.
    """
    if app.config.state.shared:
        from pilotlight.state.drill_board import DrillBoard

        board = DrillBoard(app.config.state)
        board.look()
        return board
    assert app.drills is not None, "a command's configuration is a file"
    return app.drills


def described(day: GameDay) -> str:
    """Say in one line what a game day does, and for how long."""
    import time

    left = max(0.0, day.until - time.time())
    told = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    whose = f"route {day.route}" if day.route else "every route"
    return f"{day.rate:.0%} of the calls of {whose} find {day.target} refused, for {told} more"


def _tell(file: DrillFile | DrillBoard) -> None:
    from rich.text import Text

    from pilotlight.cli.screen import complain, harmless, out

    if file.problem is not None:
        complain(f"{file.path} is ignored: {file.problem}")
        complain("`pilotlight drill --stop` removes it", mend=True)
    days = harmless(file.days.under_way)
    for day in days:
        out().print(Text.assemble(("drill ", "dim"), (day.id, "bold"), f"  {described(day)}"))
    if not days:
        out().print("no drill is under way")
    else:
        out().print(Text("`pilotlight drill --stop` ends it", "dim"))
