"""`pilotlight pull`: fetch the local models that the targets need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.health.pull import Progress as Progress_
    from pilotlight.providers.connection import Connection


@click.command("pull")
@click.argument("name", metavar="[TARGET|MODEL]", required=False)
@click.pass_obj
def command(config: Path | None, name: str | None) -> None:
    """Pull a target's model, or any MODEL; without either, every model that is missing.

    A pull that was broken off goes on where it stopped.
    """
    from pilotlight.app import load
    from pilotlight.cli.looking.setting import config_path, open_config
    from pilotlight.cli.screen import remark

    app = load({}) if name and config_path(config) is None else open_config(config)
    click.get_current_context().call_on_close(app.close)
    wanted, unasked = ([_named(app, name)], False) if name else _missing(app)
    for connection in wanted:
        _pull(connection)
    if unasked:
        click.get_current_context().exit(1)
    if not wanted:
        remark("every local model is there")


def _named(app: Pilotlight, name: str) -> Connection:
    """Return the way to a target, or to any model of the default server."""
    from pilotlight.catalog.providers import Spec
    from pilotlight.health.server import connection_of
    from pilotlight.providers.connection import Connection

    if name not in app.config.targets:
        bare = name.removeprefix("ollama_chat/").removeprefix("ollama/")
        return Connection(Spec(bare, f"ollama/{bare}"))
    connection = connection_of(app.target(name))
    if connection is None or connection.wire != "ollama":
        raise click.UsageError(f"{name} is {app.config.targets[name].model}: nothing to pull")
    return connection


def _missing(app: Pilotlight) -> tuple[list[Connection], bool]:
    """Return the targets whose model is not there, each model once; and if any can't be asked."""
    from pilotlight.cli.screen import complain
    from pilotlight.health.checks import check_target
    from pilotlight.health.server import connection_of

    found: dict[tuple[str, str], Connection] = {}
    unreachable = False
    for name, target in app.targets.items():
        connection = connection_of(target)
        if connection is None or connection.wire != "ollama":
            continue
        check = check_target(target)
        if check is not None and check.state == "unreachable":
            unreachable = True
            complain(f"{name}: {check.problem}")
            complain(check.mend or "", mend=True)
        elif check is not None and check.state == "missing":
            found.setdefault((connection.base_url, connection.spec.bare_model), connection)
    return list(found.values()), unreachable


def _pull(connection: Connection) -> None:
    """Pull one model and draw how far it is; raises PullFailed."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from pilotlight.cli.screen import err, remark
    from pilotlight.errors import PullFailed
    from pilotlight.health.pull import PULLS
    from pilotlight.plain import plain

    model = connection.spec.bare_model
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    described = TextColumn("{task.description}", markup=False)
    with Progress(described, *columns, console=err(), transient=True) as bar:
        task = bar.add_task(model, total=None)

        def show(progress: Progress_) -> None:
            bar.update(
                task,
                description=plain(f"{model}: {progress.status}"),
                completed=progress.completed,
                total=progress.total or None,
            )

        try:
            PULLS.pull(connection, watch=show)
            told = f"{model} is on {connection.base_url}"
        except PullFailed as failed:
            if not _is_there(connection):
                raise
            told = f"{model} is on {connection.base_url}, as it was: {failed.reason}"
    remark(told)


def _is_there(connection: Connection) -> bool:
    """Tell whether the model is installed: one of the user's own is in no library."""
    from pilotlight.health.checks import CHECK_TIMEOUTS, check_local
    from pilotlight.health.server import visiting

    with visiting(connection, CHECK_TIMEOUTS) as client:
        found = check_local(client, connection.base_url, connection.spec.bare_model)
    return found.state in ("loaded", "installed")
