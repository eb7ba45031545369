"""`pilotlight keys`: who may ask the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pilotlight.vocabulary.operations import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilotlight.config.schema import Config

_keys_option = click.option(
    "--keys", "named", metavar="FILE", help="The file of keys; by default serve.keys."
)


@click.group("keys", short_help="Make, list and remove the keys of the gateway.")
def command() -> None:
    """Make, list and remove the keys of the gateway (`pilotlight serve`).

    A running gateway notices within a second.
    """


@command.command("add")
@click.argument("name")
@click.option("--route", "routes", multiple=True, metavar="NAME", help="May use it; repeatable.")
@click.option("--private", is_flag=True, help="Its calls go to local targets only.")
@click.option("--priority", type=click.Choice(PRIORITIES), help="Its rank in queues.")
@click.option("--per-minute", type=click.IntRange(1), help="Calls a minute, in each worker.")
@click.option("--concurrency", type=click.IntRange(1), help="Calls at a time, in each worker.")
@click.option("--operator", is_flag=True, help="May read the status page and the metrics.")
@_keys_option
@click.pass_obj
def add(config: Path | None, /, name: str, named: str | None, **rules: Any) -> None:
    """Make a key for NAME and print it; it is shown only now, and kept as a hash."""
    import re

    from pilotlight.cli.screen import remark
    from pilotlight.doors.gateway.keys import NAME, Key, add_key

    if not re.fullmatch(NAME, name):
        raise click.BadParameter(
            f"{name!r}: letters, digits, '.', '_' and '-', 64 at most", param_hint="NAME"
        )
    checked, path = _place(config, named)
    secret = add_key(path, name, Key(**rules), checked.routes)
    click.echo(secret)
    remark(f"{name}: in {path}; shown only now")


@command.command("list")
@_keys_option
@click.pass_obj
def list_(config: Path | None, named: str | None) -> None:
    """List the keys: their names and rules."""
    from rich import box
    from rich.table import Table

    from pilotlight.cli.screen import out, remark
    from pilotlight.doors.gateway.keys import read_keys

    path = _place(config, named)[1]
    keys = read_keys(path) if path.exists() else {}
    if not keys:
        remark(f"no keys in {path}; `pilotlight keys add NAME` makes one")
        return
    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
    for name, key in keys.items():
        table.add_row(name, *(shown(key) for shown in _COLUMNS.values() if shown is not None))
    out().print(table)


_COLUMNS: dict[str, Callable[[Any], str] | None] = {
    "key": None,
    "routes": lambda key: ", ".join(key.routes) or "all",
    "private": lambda key: "yes" if key.private else "",
    "priority": lambda key: key.priority or "",
    "a minute": lambda key: str(key.per_minute or ""),
    "at a time": lambda key: str(key.concurrency or ""),
    "operator": lambda key: "yes" if key.operator else "",
}


@command.command("remove")
@click.argument("name")
@_keys_option
@click.pass_obj
def remove(config: Path | None, name: str, named: str | None) -> None:
    """Take the key of NAME away."""
    from pilotlight.cli.screen import remark
    from pilotlight.doors.gateway.keys import remove_key

    path = _place(config, named)[1]
    remove_key(path, name)
    remark(f"{name}: removed from {path}")


def _place(given: Path | None, named: str | None) -> tuple[Config, Path]:
    """Return the configuration and the file of keys that belongs to it."""
    from pilotlight.cli.looking.setting import config_path, no_config
    from pilotlight.config.schema import load_config
    from pilotlight.doors.gateway.keys import FILE

    path = config_path(given)
    if path is None:
        raise no_config()
    config = load_config(path)
    folder = path.absolute().parent
    return config, Path(named) if named is not None else folder / (config.serve.keys or FILE)
