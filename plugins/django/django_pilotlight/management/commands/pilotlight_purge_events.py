"""`manage.py pilotlight_purge_events`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from django_pilotlight.models import FailoverEvent, OperatorCommand
from django_pilotlight.settings import own


class Command(BaseCommand):
    """Delete old events."""

    help = "Delete the events, and operators' commands, that are older than so many days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=float, default=30.0, help="What to keep (30).")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 0:
            raise CommandError("--days is 0 or more")
        database, end = own().database, timezone.now() - timedelta(days=options["days"])
        # The model has no relations: one statement, whatever their number.
        deleted, _ = FailoverEvent.objects.using(database).filter(at__lt=end).delete()
        OperatorCommand.objects.using(database).filter(until__lt=end).delete()
        self.stdout.write(f"{deleted} events deleted.")
