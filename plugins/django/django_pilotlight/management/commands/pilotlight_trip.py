"""`manage.py pilotlight_trip`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_pilotlight import operator_commands
from django_pilotlight.management.commands._shared import TOLD, configured, heard


class Command(BaseCommand):
    """Open a target's circuit breaker in every worker."""

    help = "Open a target's circuit breaker in every worker: it is asked by nobody for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", help="The target's name.")
        parser.add_argument("--minutes", type=float, default=10.0, help="For how long (10).")

    def handle(self, *args: Any, **options: Any) -> None:
        heard()
        minutes = options["minutes"]
        if not 0 < minutes <= operator_commands.LONGEST:
            raise CommandError(f"--minutes is more than 0 and at most {operator_commands.LONGEST}")
        with configured() as app:
            name = app.target(options["target"]).name
        operator_commands.withdraw(kind="reset", target=name)
        operator_commands.post("trip", name, 60 * minutes)
        self.stdout.write(f"{name} is taken out for {minutes:g} min. {TOLD}")
