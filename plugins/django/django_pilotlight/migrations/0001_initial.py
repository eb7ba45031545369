"""The tables of events and of orders."""

from typing import Any, ClassVar

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make them."""

    initial = True

    dependencies: ClassVar[list[Any]] = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("trip", "Trip"), ("reset", "Reset"), ("drill", "Drill")],
                        max_length=8,
                    ),
                ),
                ("target", models.CharField(max_length=255)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("until", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="FailoverEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("failed_over", "failed over"),
                            ("breaker_opened", "breaker opened"),
                            ("breaker_closed", "breaker closed"),
                            ("all_failed", "all targets failed"),
                        ],
                        editable=False,
                        max_length=16,
                    ),
                ),
                ("route", models.CharField(blank=True, editable=False, max_length=255)),
                (
                    "target",
                    models.CharField(
                        blank=True, editable=False, help_text="Whom it happened to.", max_length=255
                    ),
                ),
                (
                    "to_target",
                    models.CharField(
                        blank=True, editable=False, help_text="Who is asked next.", max_length=255
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="A fault, or why it was skipped.",
                        max_length=64,
                    ),
                ),
                ("call_id", models.CharField(blank=True, editable=False, max_length=32)),
                ("request_id", models.CharField(blank=True, editable=False, max_length=64)),
            ],
            options={
                "verbose_name": "failover event",
                "ordering": ["-at", "-pk"],
                "indexes": [
                    models.Index(fields=["at"], name="pilotlight_event_at"),
                    models.Index(fields=["route", "at"], name="pilotlight_event_route_at"),
                ],
            },
        ),
    ]
