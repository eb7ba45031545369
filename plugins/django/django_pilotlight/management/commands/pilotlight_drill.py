"""`manage.py pilotlight_drill`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_pilotlight import operator_commands
from django_pilotlight.management.commands._shared import TOLD, configured, heard


class Command(BaseCommand):
    """A game day: let a share of every worker's calls find a target refused."""

    help = (
        "Let a share of the calls in every worker skip a target, until the time is over; as "
        "`pilotlight drill` does. Nothing is sent, and no circuit breaker sees it. Refuses to "
        "leave a route without another target, unless --yes is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", help="Who is refused: a target, a model or a provider.")
        parser.add_argument(
            "--route", help="Only the calls of this route; without --target, its first target."
        )
        parser.add_argument("--minutes", type=float, default=5.0, help="For how long (5).")
        parser.add_argument("--rate", type=float, default=0.2, help="The share of calls (0.2).")
        parser.add_argument("--yes", action="store_true", help="Also where nobody is left.")
        parser.add_argument("--stop", action="store_true", help="End all drills.")

    def handle(self, *args: Any, **options: Any) -> None:
        heard()
        target, route = options["target"], options["route"]
        if options["stop"]:
            if target or route:
                raise CommandError("--stop ends all drills; leave --target and --route out")
            self.stdout.write(f"{operator_commands.withdraw(kind='drill')} drills ended. {TOLD}")
            return
        if not (target or route):
            raise CommandError("name who is to be refused, with --target or --route")
        minutes, rate = options["minutes"], options["rate"]
        if not 0 < minutes <= operator_commands.LONGEST:
            raise CommandError(f"--minutes is more than 0 and at most {operator_commands.LONGEST}")
        if not 0 < rate <= 1:
            raise CommandError("--rate is more than 0 and at most 1")
        with configured() as app:
            from pilotlight.gamedays import plan

            target = target or app.route(route).targets[0].name
            known = operator_commands.game_days()
            day = plan(app, known, target, route, 60 * minutes, rate, alone=options["yes"])
        operator_commands.post("drill", day.target, 60 * minutes, rate=rate, route=day.route or "")
        whose = f"route {day.route}" if day.route else "every route"
        self.stdout.write(
            f"{rate:.0%} of the calls of {whose} find {day.target} refused for {minutes:g} min. "
            f"{TOLD}"
        )
