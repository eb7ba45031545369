"""`manage.py pilotlight_status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandParser

from django_pilotlight.management.commands._shared import configured
from django_pilotlight.models import FailoverEvent, newest

if TYPE_CHECKING:
    from pilotlight.status.snapshot import Snapshot


class Command(BaseCommand):
    """Show routes, targets and the newest events."""

    help = (
        "Show the routes and targets of the settings, and the newest events of all workers. "
        "Breakers live in the workers: the status page shows theirs, and with a shared STATE "
        "this command shows what the fleet knows. "
        "Exits with 1 when a route has no target."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")
        parser.add_argument("--events", type=int, default=10, metavar="N", help="How many events.")

    def handle(self, *args: Any, **options: Any) -> None:
        from pilotlight.status.snapshot import take

        with configured() as app:
            now, fleet = take(app), app.fleet()
        events = newest(max(0, options["events"]))
        if options["json"]:
            self.stdout.write(json.dumps(_plain(now, fleet, events or []), indent=2))
        else:
            self._table(now, events)
            self._fleet(fleet)
        if any(route.serving is None for route in now.routes) or not now.routes:
            sys.exit(1)

    def _table(self, now: Snapshot, events: list[FailoverEvent] | None) -> None:
        for route in now.routes:
            mark = " (private)" if route.private else ""
            self.stdout.write(f"route {route.name}{mark}: {' -> '.join(route.targets)}")
        for target in now.targets:
            where = "local" if target.local else "hosted"
            self.stdout.write(f"target {target.name}: {target.model}, {where}")
        if not events:
            said = "no events yet" if events is not None else "events: run manage.py migrate"
            self.stdout.write(said)
        for event in events or ():
            self.stdout.write(f"{event.at:%Y-%m-%d %H:%M:%S} {event} {event.reason}".rstrip())

    def _fleet(self, fleet: Any) -> None:
        if fleet is None:
            return
        if fleet.problem:
            self.stdout.write(self.style.ERROR(f"fleet {fleet.store}: {fleet.problem}"))
        elif not fleet.notices:
            self.stdout.write(f"fleet {fleet.store}: all closed")
        for each in fleet.notices:
            name = each.target or "another configuration's target"
            state = f"{each.state} {each.reason}".rstrip()
            self.stdout.write(f"fleet {fleet.store}: {name} {state}, by {each.by}")


def _plain(now: Snapshot, fleet: Any, newest_events: list[FailoverEvent]) -> dict[str, Any]:
    routes = [
        {"name": each.name, "targets": each.targets, "private": each.private} for each in now.routes
    ]
    targets = [
        {"name": each.name, "model": each.model, "local": each.local} for each in now.targets
    ]
    events = [
        {
            "at": each.at.isoformat(),
            "kind": each.kind,
            "route": each.route,
            "target": each.target,
            "to_target": each.to_target,
            "reason": each.reason,
        }
        for each in newest_events
    ]
    known = None if fleet is None else asdict(fleet)
    return {"routes": routes, "targets": targets, "fleet": known, "events": events}
