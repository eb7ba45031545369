"""What is kept in the database: what happened, and what operators command.

Neither holds a prompt, an answer or a key.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import DatabaseError, models, transaction
from django.utils import timezone

from django_pilotlight import settings


class FailoverEvent(models.Model):
    """One thing that happened in the calls of a worker."""

    class Kind(models.TextChoices):
        """What happened."""

        FAILED_OVER = "failed_over", "failed over"
        BREAKER_OPENED = "breaker_opened", "breaker opened"
        BREAKER_CLOSED = "breaker_closed", "breaker closed"
        ALL_FAILED = "all_failed", "all targets failed"

    at = models.DateTimeField(default=timezone.now, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices, editable=False)
    route = models.CharField(max_length=255, blank=True, editable=False)
    target = models.CharField(
        max_length=255, blank=True, editable=False, help_text="Whom it happened to."
    )
    to_target = models.CharField(
        max_length=255, blank=True, editable=False, help_text="Who is asked next."
    )
    reason = models.CharField(
        max_length=64, blank=True, editable=False, help_text="A fault, or why it was skipped."
    )
    call_id = models.CharField(max_length=32, blank=True, editable=False)
    request_id = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        """The newest first."""

        ordering: ClassVar = ["-at", "-pk"]
        indexes: ClassVar = [
            models.Index(fields=["at"], name="pilotlight_event_at"),
            models.Index(fields=["route", "at"], name="pilotlight_event_route_at"),
        ]
        verbose_name = "failover event"

    def __str__(self) -> str:
        to = f" → {self.to_target}" if self.to_target else ""
        return f"{self.get_kind_display()}: {self.target or self.route}{to}"


def newest(count: int) -> list[FailoverEvent] | None:
    """Return the newest events; None when the database can't tell: that is not today's outage."""
    database = settings.own().database
    try:
        with transaction.atomic(using=database):  # a failure must not spoil the request's own
            return list(FailoverEvent.objects.using(database)[:count])
    except DatabaseError:
        return None


class OperatorCommand(models.Model):
    """What an operator wants of every worker until a moment; see `operator_commands`."""

    class Kind(models.TextChoices):
        """What is wanted."""

        TRIP = "trip"
        RESET = "reset"
        DRILL = "drill"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    target = models.CharField(max_length=255)
    at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)
    rate = models.FloatField(default=1.0, help_text="The share of calls that a drill refuses.")
    route = models.CharField(
        max_length=255, blank=True, default="", help_text="The drill's; empty: every route."
    )

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"
