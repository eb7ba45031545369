"""`pilotlight doctor`: whether everything is in place, and if not, what mends it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pilotlight.cli.checks import Check


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(config: Path | None, as_json: bool) -> None:
    """Check configuration, keys, addresses and the local model; exit 1 if anything fails.

    No prompt and no key is sent to anybody: closed providers are only connected to.
    """
    from pilotlight.cli.app import FAILED
    from pilotlight.cli.checks import examine
    from pilotlight.cli.screen import print_json

    found = examine(config)
    failed = sum(check.verdict == "fail" for check in found)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in found]})
    else:
        _print(found, failed)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _print(found: list[Check], failed: int) -> None:
    from rich.text import Text

    from pilotlight.cli.screen import out

    console = out()
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    width = max(len(check.about) for check in found)
    for check in found:
        line = Text(f"{check.verdict:4}  ", styles[check.verdict])
        line += Text(f"{check.about:{width}}  ", "bold") + Text(check.text, "")
        console.print(line, soft_wrap=True)
        if check.mend:
            console.print(Text(f"{'':{width + 8}}→ {check.mend}", "cyan"), soft_wrap=True)
    warned = sum(check.verdict == "warn" for check in found)
    console.print(
        Text(f"\n{len(found) - failed - warned} ok, {warned} to look at, {failed} failed", "bold"),
        soft_wrap=True,
    )
