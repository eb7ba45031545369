"""`pilotlight demo`: calls that survive an outage, played, drawn and counted."""

from pilotlight.cli.demo.command import command

__all__ = ["command"]
