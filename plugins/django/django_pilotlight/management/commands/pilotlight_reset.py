"""`manage.py pilotlight_reset`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_pilotlight import operator_commands
from django_pilotlight.management.commands._shared import TOLD, configured, heard


class Command(BaseCommand):
    """Close a target's circuit breaker in every worker."""

    help = "Close a target's circuit breaker in every worker, and end its trips."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", help="The target's name.")

    def handle(self, *args: Any, **options: Any) -> None:
        heard()
        with configured() as app:
            name = app.target(options["target"]).name
        operator_commands.withdraw(kind="trip", target=name)
        operator_commands.post("reset", name, operator_commands.RESET_STANDS)
        self.stdout.write(f"{name} may be asked again. {TOLD}")
