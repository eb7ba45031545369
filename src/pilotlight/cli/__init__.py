"""The command line: `pilotlight init · doctor · status · ask · demo`, one module a command.

A command's module imports nothing heavy at its top, so that `--help` is quick.
"""

from __future__ import annotations

from pilotlight.cli.app import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line; the entry point of the `pilotlight` script."""
    cli(prog_name="pilotlight")
