"""`manage.py pilotlight_probe`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_pilotlight.management.commands._shared import configured


class Command(BaseCommand):
    """Look at the targets, without a call of a model."""

    help = (
        "Ask each target's server how it is, at most five seconds each. No model is called, and "
        "nothing is paid: Ollama is asked for its models, a hosted provider for its free list "
        "of models. Exits with 1 when a target has a problem."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("targets", nargs="*", help="Their names; none: all.")

    def handle(self, *args: Any, **options: Any) -> None:
        with configured() as app:
            names = options["targets"] or list(app.targets)
            for name in names:
                app.target(name)
            if not names:
                raise CommandError("no targets are configured")
            with ThreadPoolExecutor(max_workers=8) as pool:
                looks = list(pool.map(app.look, names))
            bad = [self._tell(app, name, look) for name, look in zip(names, looks, strict=True)]
        if any(bad):
            sys.exit(1)

    def _tell(self, app: Any, name: str, look: Any) -> bool:
        """Write one target's line; return whether it has a problem."""
        problem = app.missing_key(name) or (look.problem if look else "it can't be checked")
        parts = [look.state if look else "unknown", problem, look.mend if look else None]
        line = f"{name}: {'; '.join(part for part in parts if part)}"
        self.stdout.write(self.style.ERROR(line) if problem else self.style.SUCCESS(line))
        return bool(problem)
