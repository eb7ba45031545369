"""`pilotlight chaos`: the commands of pilotlight-chaos, where it is installed."""

from __future__ import annotations

import click

from pilotlight import extras

try:
    from pilotlight_chaos.commands import command
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "pilotlight_chaos":
        raise

    @click.command("chaos", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def absent(rest: tuple[str, ...]) -> None:
        """Play outages against pilotlight and check what it promises."""
        raise extras.missing("pilotlight_chaos", "chaos", "`pilotlight chaos`")

    command = absent  # type: ignore[assignment]

__all__ = ["command"]
