"""Orders are called operator commands."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Renames the table; what stands in it stays."""

    dependencies: ClassVar = [("django_pilotlight", "0002_order_rate_route")]

    operations: ClassVar = [migrations.RenameModel("Order", "OperatorCommand")]
