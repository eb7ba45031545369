"""What the commands share: errors in their own words, and the targets by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.core.management.base import CommandError

if TYPE_CHECKING:
    from pilotlight import Pilotlight


@contextmanager
def configured() -> Iterator[Pilotlight]:
    """Give the pilotlight of the settings; a configuration that can't be used ends the command."""
    from django_pilotlight.current_app import app
    from pilotlight import ConfigError

    try:
        yield app()
    except ConfigError as error:
        raise CommandError(str(error)) from error


def heard() -> None:
    """End the command when no worker would hear an operator's command."""
    from django_pilotlight.settings import own

    if not own().log_events:
        raise CommandError("LOG_EVENTS is off: no worker reads commands from the database")


TOLD = "Every worker that makes calls follows within a few seconds."
