"""The app: registers its checks and what hears of calls, and starts nothing."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class PilotlightConfig(AppConfig):
    """`INSTALLED_APPS = [..., "django_pilotlight"]`."""

    name = "django_pilotlight"
    verbose_name = "LLM failover"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register; what is registered loads, starts and connects nothing before the first call."""
        from django_pilotlight import checks, current_app

        checks.register_all()
        current_app.HOLDER.when_loaded(_listen)
        setting_changed.connect(current_app.on_setting_changed, dispatch_uid="django_pilotlight")


def _listen() -> None:
    from django_pilotlight import signals  # it loads pilotlight, which Django's start does not

    signals.listen()
