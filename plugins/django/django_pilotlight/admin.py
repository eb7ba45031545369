"""The log of events in the admin: to be read, filtered and counted, never edited."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.timezone import template_localtime

from django_pilotlight.chart import bars
from django_pilotlight.current_app import app
from django_pilotlight.models import FailoverEvent
from django_pilotlight.settings import own


def _budgets() -> list[dict[str, Any]]:
    """Return what each budget has spent, as this worker knows it."""
    from pilotlight import ConfigError
    from pilotlight.status.snapshot import budgets_of

    try:
        found = budgets_of(app())
    except ConfigError:  # `manage.py check` says what is wrong
        return []
    return [
        {"budget": each, "renews": datetime.fromtimestamp(each.renews_at, UTC)} for each in found
    ]


@admin.register(FailoverEvent)
class FailoverEventAdmin(admin.ModelAdmin):
    """Needs the view permission alone; nobody may add, change or delete by hand."""

    list_display = ("when", "kind", "route", "hop", "reason", "request_id")
    list_filter = ("kind", "route", "target", "reason")
    search_fields = ("=request_id", "=call_id")
    date_hierarchy = "at"
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description="at", ordering="at")
    def when(self, event: FailoverEvent) -> str:
        """To the second, as one reads a log."""
        return date_format(template_localtime(event.at), "M j, H:i:s")

    @admin.display(description="target", ordering="target")
    def hop(self, event: FailoverEvent) -> str | None:
        """Whom it happened to, and who was asked next."""
        return " → ".join(filter(None, (event.target, event.to_target))) or None

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailoverEvent]:
        return super().get_queryset(request).using(own().database)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Add the chart of the events that are listed, the filters applied."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            listed = response.context_data.get("cl")
            if listed is not None:
                response.context_data["bars"] = bars(listed.queryset)
                response.context_data["budgets"] = _budgets()
        return response
