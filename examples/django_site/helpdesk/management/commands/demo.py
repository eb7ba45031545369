"""`manage.py demo`: everything that the site needs, and the site."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Make the database, play the models, and serve."""

    help = "Make the database and a member of staff (staff / staff), play the models, and serve."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a port, and whether the models are real."""
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--real", action="store_true", help="Use OPENAI_API_KEY and your own Ollama."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        call_command("migrate", verbosity=0)
        if not User.objects.filter(username="staff").exists():
            User.objects.create_superuser("staff", password="staff")  # noqa: S106 - a demo's
        if options["real"]:
            self._serve(options["port"])
            return
        from pilotlight_chaos import ChaosServer

        with ChaosServer(models=["llama3.2"], token_latency=0.05) as models:
            self._play(models.url)
            self._serve(options["port"])

    def _play(self, url: str) -> None:
        """Have the models played; the settings are read already, so they are told."""
        from django.conf import settings
        from django.test.utils import override_settings

        targets = settings.PILOTLIGHT["TARGETS"]
        played = {
            "gpt": targets["gpt"] | {"api_base": f"{url}/p/cloud/v1", "api_key": "sk-demo"},
            "house": targets["house"] | {"api_base": f"{url}/p/house"},
        }
        override_settings(PILOTLIGHT=settings.PILOTLIGHT | {"TARGETS": played}).enable()

    def _serve(self, port: int) -> None:
        self.stdout.write(
            f"Ask:     http://127.0.0.1:{port}/\n"
            f"Status:  http://127.0.0.1:{port}/llm/  (staff / staff)\n"
            "Outage:  in another terminal, python examples/django_site/manage.py "
            "pilotlight_drill --target gpt --rate 1"
        )
        call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, verbosity=0)
