"""`pilotlight drill`: a game day in the applications that run on this configuration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pilotlight.cli.number import Finite

if TYPE_CHECKING:
    from pilotlight.assembly import Pilotlight
    from pilotlight.core.gameday import GameDay, GameDays
    from pilotlight.drills import DrillFile
    from pilotlight.state.drills import DrillBoard

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
    from pilotlight.cli.screen import print_json
    from pilotlight.cli.setting import open_config
    from pilotlight.errors import ConfigError

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
                file.post(_planned(app, file.days, target, route, minutes, rate, yes))
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
        from pilotlight.state.drills import DrillBoard

        board = DrillBoard(app.config.state)
        board.look()
        return board
    assert app.drills is not None, "a command's configuration is a file"
    return app.drills


def _planned(
    app: Pilotlight,
    days: GameDays,
    target: str,
    route: str | None,
    minutes: float,
    rate: float,
    yes: bool,
) -> GameDay:
    """Return the game day that was asked for; raises ConfigError for one that makes no sense."""
    import secrets
    import time

    from pilotlight.core.gameday import GameDay
    from pilotlight.errors import ConfigError

    routes = {route: app.route(route)} if route else app.routes
    name = None if route is None else routes[route].name  # "default" may stand for another
    day = GameDay(secrets.token_hex(4), target, rate, time.time() + 60 * minutes, name)
    known = {each for on in routes.values() for each in on.targets}
    if not any(day.means(on.name, each) for on in routes.values() for each in on.targets):
        names = ", ".join(sorted(each.name for each in known)) or "none"
        where = f"route {route!r} has" if route else "the routes have"
        raise ConfigError(f"{where} no target {target!r}; it can be refused: {names}")
    if (alone := _left_alone(app, (*days.under_way, day))) and not yes:
        raise ConfigError(
            f"this leaves {' and '.join(alone)} without another target: {rate:.0%} of the calls "
            "would fail; to do it all the same, add --yes"
        )
    return day


def _left_alone(app: Pilotlight, days: tuple[GameDay, ...]) -> list[str]:
    """Name the calls for which the last one leaves nobody, if all strike them at once."""
    new = days[-1]
    alone = []
    for name, route in app.routes.items():
        homes = [each for each in route.targets if each.at_home]
        kinds = {"private calls of ": homes} | ({} if route.private else {"": route.targets})
        for kind, able in kinds.items():
            hit = [each for each in able if any(day.means(name, each) for day in days)]
            if any(new.means(name, each) for each in hit) and len(hit) == len(able):
                alone.append(f"{kind}route {name}")
    return alone


def described(day: GameDay) -> str:
    """Say in one line what a game day does, and for how long."""
    import time

    left = max(0.0, day.until - time.time())
    told = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    whose = f"route {day.route}" if day.route else "every route"
    return f"{day.rate:.0%} of the calls of {whose} find {day.target} refused, for {told} more"


def _tell(file: DrillFile | DrillBoard) -> None:
    from rich.text import Text

    from pilotlight.cli.screen import complain, out

    if file.problem is not None:
        complain(f"{file.path} is ignored: {file.problem}")
        complain("`pilotlight drill --stop` removes it", mend=True)
    days = file.days.under_way
    for day in days:
        out().print(Text.assemble(("drill ", "dim"), (day.id, "bold"), f"  {described(day)}"))
    if not days:
        out().print("no drill is under way")
    else:
        out().print(Text("`pilotlight drill --stop` ends it", "dim"))
