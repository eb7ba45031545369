"""The group of commands: finds them, and turns what they raise into a line and an exit code.

0 well · 1 it failed · 2 wrong usage or configuration · 130 Ctrl-C
"""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import pilotlight
from pilotlight.plain import logger

if TYPE_CHECKING:
    from pilotlight.errors import PilotlightError

COMMANDS = (
    *("init", "pull", "doctor", "status", "ask", "demo", "chaos", "drill"),
    *("serve", "keys", "run"),
    *("receipts", "replay", "prices", "report-fault"),
)

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class Commands(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(
            f"pilotlight.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; our own errors become one clear line, never a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except click.ClickException as error:
            from pilotlight.plain import plain

            # It may quote what others have said; click only promises not to set it again itself.
            error.message = plain(error.message, "\n")  # type: ignore[misc]
            raise
        except Exception as error:
            from pilotlight.errors import PilotlightError

            if not isinstance(error, PilotlightError):
                raise
            ctx.exit(_explain(error))


def _explain(error: PilotlightError) -> int:
    """Say what went wrong and what mends it; return the exit code."""
    from pilotlight.cli.screen import complain
    from pilotlight.errors import ConfigError, InvalidCall, MissingExtra

    complain(str(error))
    misused = isinstance(error, ConfigError | InvalidCall) and not isinstance(error, MissingExtra)
    return MISUSED if misused else FAILED


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    pilotlight.__version__, prog_name="pilotlight", message="%(prog)s %(version)s"
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The configuration to use; by default PILOTLIGHT_CONFIG, then pilotlight.toml or "
    "[tool.pilotlight] here or in a folder above.",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """LLM calls that survive their providers."""
    logger("pilotlight").addHandler(logging.NullHandler())  # what is to be said, commands say
    ctx.obj = config
