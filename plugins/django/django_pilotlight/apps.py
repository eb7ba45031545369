"""The app: registers its checks and signals, and starts nothing."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class PilotlightConfig(AppConfig):
    """`INSTALLED_APPS = [..., "django_pilotlight"]`."""

    name = "django_pilotlight"
    verbose_name = "LLM failover"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks; threads and connections come with the first call."""
        from django_pilotlight import checks, conf

        checks.register_all()
        setting_changed.connect(conf.on_setting_changed, dispatch_uid="django_pilotlight")
