"""`manage.py pilotlight_drill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_pilotlight import orders
from django_pilotlight.management.commands._shared import TOLD, configured, heard

if TYPE_CHECKING:
    from pilotlight import Route


class Command(BaseCommand):
    """A game day: let every worker find a target failing."""

    help = (
        "Let every attempt at a target fail in every worker, without sending anything, until the "
        "time is over. Refuses to leave a route without another target, unless --yes is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--target", help="A target's name.")
        which.add_argument("--route", help="A route: its first target.")
        which.add_argument("--stop", action="store_true", help="End all drills.")
        parser.add_argument("--minutes", type=float, default=5.0, help="For how long (5).")
        parser.add_argument("--yes", action="store_true", help="Also where nobody is left.")

    def handle(self, *args: Any, **options: Any) -> None:
        heard()
        if options["stop"]:
            self.stdout.write(f"{orders.withdraw(kind='drill')} drills ended. {TOLD}")
            return
        minutes = options["minutes"]
        if not 0 < minutes <= orders.LONGEST:
            raise CommandError(f"--minutes is more than 0 and at most {orders.LONGEST}")
        with configured() as app:
            given = options["target"]
            name = app.target(given).name if given else app.route(options["route"]).targets[0].name
            alone = [route.name for route in app.routes.values() if _left_alone(route, name)]
        if alone and not options["yes"]:
            raise CommandError(
                f"this leaves nobody to answer on {', '.join(alone)}; to do it all the same, "
                "add --yes"
            )
        orders.post("drill", name, 60 * minutes)
        self.stdout.write(f"{name} fails for {minutes:g} min. {TOLD}")


def _left_alone(route: Route, name: str) -> bool:
    able = [each.name for each in route.targets if each.at_home or not route.private]
    return able == [name]
