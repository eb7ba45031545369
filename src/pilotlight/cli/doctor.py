"""`pilotlight doctor`: whether everything is in place, and if not, what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

    from pilotlight.app import Pilotlight
    from pilotlight.cli.looking.checks import Check
    from pilotlight.cli.looking.facts import Survey
    from pilotlight.cli.looking.setting import Place
    from pilotlight.cli.looking.sized import Sized


_STYLES: Final = {"fail": "bold red", "warn": "yellow", "ok": "green"}  # the worst first


@click.command("doctor")
@click.option("--check", is_flag=True, help="Also ask closed providers for their free model lists.")
@click.option(
    "--local",
    "measured",
    is_flag=True,
    help="Also measure each local model: it is loaded, and asked with prompts of our own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(config: Path | None, check: bool, measured: bool, as_json: bool) -> None:
    """Check configuration, keys, addresses and models; exit 1 if anything fails.

    No prompt is sent to anybody, but with `--local` one of our own to local models. A key goes to
    its own provider alone, for the list of its models, with `--check` or where the target has
    `health = "models"`.
    """
    from pilotlight.cli.app import FAILED
    from pilotlight.cli.screen import harmless, out, print_json

    seen, found, sizes = _examine(config, check, measured)
    failed = any(each.verdict == "fail" for each in found)
    if as_json:
        facts = asdict(seen) if seen else {"targets": [], "routes": []}
        facts.pop("litellm", None)
        if measured:
            facts["local"] = [asdict(each) for each in sizes]
        print_json({"ok": not failed, **facts, "checks": [asdict(each) for each in found]})
    else:
        _print(out(), harmless(seen), harmless(found), sizes)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _examine(
    config: Path | None, ask: bool, measured: bool
) -> tuple[Survey | None, list[Check], list[Sized]]:
    """Look at everything; without a configuration, at what there is all the same."""
    from pilotlight.cli.looking.checks import Setting, findings, litellm_check, without_config
    from pilotlight.cli.looking.price_checks import price_checks
    from pilotlight.cli.looking.setting import open_config, places
    from pilotlight.cli.looking.survey import litellm_problem
    from pilotlight.cli.status import look
    from pilotlight.errors import ConfigError

    try:
        app = open_config(config)
    except ConfigError as error:
        return None, [*without_config(config, error), litellm_check(litellm_problem())], []
    with app:
        found = places(app)
        seen = look(app, found, ask)
        sizes, wrong = _measured(app, found) if measured else ([], [])
        setting = Setting(config, {place.name: place for place in found})
        prices = price_checks(app, setting.command("prices", "--lock"))
        told = [*findings(setting, seen), *prices, *wrong]
    return seen, told, sizes


def _measured(app: Pilotlight, found: list[Place]) -> tuple[list[Sized], list[Check]]:
    from pilotlight.cli.looking.sized import sized

    return sized(app, found)


def _print(
    console: Console, seen: Survey | None, found: list[Check], sizes: Sequence[Sized] = ()
) -> None:
    """Show the facts, then what is wrong; what is well is in the facts already."""
    from rich.text import Text

    from pilotlight.cli.looking.table import show
    from pilotlight.cli.screen import harmless

    if seen is not None:
        show(console, seen)
        console.print()
    for size in sizes:
        for line in harmless([f"{size.target}: {line}" for line in size.lines]):
            console.print(Text(line), soft_wrap=True)
        console.print()
    shown = [each for each in found if each.verdict != "ok" or seen is None]
    shown.sort(key=lambda each: list(_STYLES).index(each.verdict))
    width = max((len(each.about) for each in shown), default=0)
    for each in shown:
        _finding(console, each, width)
    count = {verdict: sum(each.verdict == verdict for each in found) for verdict in _STYLES}
    if shown:
        console.print()
    worst = next(verdict for verdict in _STYLES if count[verdict])
    told = f"{count['ok']} ok, {count['warn']} to look at, {count['fail']} failed"
    console.print(Text(told, f"bold {_STYLES[worst]}"), soft_wrap=True)


def _finding(console: Console, each: Check, width: int) -> None:
    """Print what was found, folded, and what mends it in one line, to be copied."""
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(width=4)
    line.add_column(width=width)
    line.add_column(overflow="fold")
    line.add_row(
        Text(each.verdict, _STYLES[each.verdict]), Text(each.about, "bold"), Text(each.text)
    )
    console.print(line)
    if each.mend:
        console.print(Text(f"      → {each.mend}", "cyan"), soft_wrap=True)
