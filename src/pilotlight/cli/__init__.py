"""The command line: `pilotlight init · doctor · status · ask · demo`, one module a command.

A command's module imports nothing heavy at its top, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotlight.cli.app import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line; the entry point of the `pilotlight` script."""
    from pilotlight import extras

    for module in ("click", "rich"):
        if not extras.installed(module):
            sys.exit(f"pilotlight: {extras.missing(module, 'cli', 'the command line')}")
    from pilotlight.cli.app import cli

    cli(prog_name="pilotlight")


def __getattr__(name: str) -> Any:
    if name != "cli":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pilotlight.cli.app import cli

    return cli
