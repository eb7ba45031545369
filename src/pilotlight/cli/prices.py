"""`pilotlight prices`: what each target costs, and where that is known from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilotlight.app import Pilotlight
    from pilotlight.config.price_lock import Agreed
    from pilotlight.core.spending.price import Price

_COLUMNS: Final = (
    *("input", "output", "cached_input", "cache_write", "reasoning"),
    *("audio_input", "audio_output"),
    *("image", "per_call", "per_hour"),
)


@dataclass(frozen=True, slots=True)
class Listing:
    """One target's price in force; `changed` is how it differs from `prices.lock`."""

    target: str
    model: str
    price: Price
    source: str
    changed: str = ""
    above: str = ""  # by what it exceeds the target's `max_price`


@click.command("prices")
@click.option("--lock", is_flag=True, help="Agree to them: write them to prices.lock.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(config: Path | None, *, lock: bool, as_json: bool) -> None:
    """Show what each target costs, in US dollars for a million tokens, and where from.

    A target's own `price`, else the table that litellm brings along; nobody is asked.  Prices
    that were agreed to stand in prices.lock beside the configuration: where one in force is
    another, `prices`, `doctor` and the application say so.
    """
    from pilotlight.cli.looking.setting import open_config
    from pilotlight.cli.screen import print_json, remark

    with open_config(config) as app:
        path, agreed = locked(app)
        found = listings(app, agreed)
        if lock:
            _lock(path, found)
            agreed = read(path)
            found = listings(app, agreed)
    if as_json:
        print_json({"lock": str(path) if agreed else None, "targets": [asdict(e) for e in found]})
        return
    _print(found, path if agreed else None)
    if lock:
        remark(f"{path}: these prices are agreed to")


def locked(app: Pilotlight) -> tuple[Path, Mapping[str, Agreed]]:
    """Return where prices are locked for a configuration, and those that are."""
    from pilotlight.config.price_lock import NAME
    from pilotlight.errors import ConfigError

    if app.path is None:
        raise ConfigError("prices are locked beside a configuration: there is no pilotlight.toml")
    path = app.path.with_name(NAME)
    return path, read(path)


def read(path: Path) -> Mapping[str, Agreed]:
    """Return the prices of a lock, none where there is no file; raises ConfigError."""
    from pilotlight.config.price_lock import read_lock

    return read_lock(path) if path.exists() else {}


def listings(app: Pilotlight, agreed: Mapping[str, Agreed]) -> list[Listing]:
    """Return the price of each target of a configuration."""
    from pilotlight.catalog.prices import differences
    from pilotlight.config.price_lock import price_of

    found = []
    for name, config in app.config.targets.items():
        target = app.target(name)
        price = price_of(config, local=target.local)()
        then = agreed.get(name)
        same = then is not None and then.model == config.model
        found.append(
            Listing(
                name,
                config.model,
                price,
                _source(config.price is not None, price, local=target.local),
                differences(then.price, price) if then and same else "",
                "" if target.max_price is None else target.max_price.exceeded(price),
            )
        )
    return found


def _source(configured: bool, price: Price, *, local: bool) -> str:
    from pilotlight.core.spending.price import UNKNOWN

    if configured:
        return "configuration"
    if local:
        return "local"
    if price == UNKNOWN:
        return "unknown"
    from importlib.metadata import version

    return f"litellm {version('litellm')}"


def _lock(path: Path, found: list[Listing]) -> None:
    from pilotlight.config.price_lock import Agreed, write_lock
    from pilotlight.core.spending.price import UNKNOWN
    from pilotlight.errors import ConfigError

    known = {e.target: Agreed(e.model, e.price) for e in found if e.price != UNKNOWN}
    try:
        write_lock(path, known)
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror or error}") from None


def _print(found: list[Listing], lock: Path | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from pilotlight.cli.screen import out, remark
    from pilotlight.plain import plain

    shown = [c for c in _COLUMNS if any(getattr(each.price, c) for each in found)]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("target", overflow="fold")
    for column in shown:
        table.add_column(column.replace("_", " "), justify="right")
    table.add_column("from")
    for each in found:
        name = Text.assemble(plain(each.target), ("\n" + plain(each.model), "dim"))
        table.add_row(name, *(_cell(getattr(each.price, c)) for c in shown), Text(each.source))
    console = out()
    console.print(table)
    for each in found:
        for told, style in ((each.changed, "yellow"), (each.above, "red")):
            if told:
                console.print(Text(plain(f"{each.target}: {told}"), style), soft_wrap=True)
    if lock is None:
        remark("no prices are locked; `pilotlight prices --lock` agrees to these")
    elif any(each.changed for each in found):
        remark(f"{lock} has other prices; `pilotlight prices --lock` agrees to these")


def _cell(value: float | None) -> Any:
    from rich.text import Text

    return Text("-", "dim") if value is None else Text(f"${value:,.10g}")
