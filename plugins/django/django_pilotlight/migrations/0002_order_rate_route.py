"""A drill has a share of the calls, and may be one route's."""

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the two columns."""

    dependencies: ClassVar[list[Any]] = [("django_pilotlight", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="order",
            name="rate",
            field=models.FloatField(
                default=1.0, help_text="The share of calls that a drill refuses."
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="route",
            field=models.CharField(
                blank=True,
                default="",
                help_text="The drill's; empty: every route.",
                max_length=255,
            ),
        ),
    ]
