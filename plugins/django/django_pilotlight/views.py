"""The status page, the same as JSON, and the two answers for a load balancer."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_pilotlight import event_writer, snapshot
from django_pilotlight.current_app import app
from django_pilotlight.models import newest
from django_pilotlight.settings import own

NEWEST = 20  # events on the page


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponseBase:
    """Show staff how this worker sees its targets, what the fleet knows, and the newest events."""
    if not _staff(request):
        if getattr(request, "user", None) is None or request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path(), _login_url(), REDIRECT_FIELD_NAME)
    template = "live" if "live" in request.GET else "status"
    return render(request, f"django_pilotlight/{template}.html", _facts())


@require_safe
@never_cache
def status_json(request: HttpRequest) -> JsonResponse:
    """Give the same as JSON, to staff and to who sends the `STATUS_TOKEN`; 403 to others."""
    if not (_staff(request) or _has_token(request)):
        return JsonResponse({"error": "for staff, or with a bearer token"}, status=403)
    facts = _facts()
    events = [
        {
            "at": each.at.isoformat(),
            "kind": each.kind,
            "route": each.route,
            "target": each.target,
            "to_target": each.to_target,
            "reason": each.reason,
            "request_id": each.request_id,
        }
        for each in facts["events"] or ()
    ]
    return JsonResponse(
        {
            **facts["now"].to_dict(),
            "fleet": None if facts["fleet"] is None else asdict(facts["fleet"]),
            "events": events,
            "events_dropped": facts["dropped"],
        }
    )


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether LLM calls can be made: `ok`, `degraded` or `down`.

    503 only for a configuration that can't be used.  An outage of a provider is no reason
    to take this process out of service: another would fare no better.
    """
    from pilotlight import ConfigError

    try:
        return JsonResponse({"status": snapshot.take().standing})
    except ConfigError:
        return JsonResponse({"status": "misconfigured"}, status=503)


def _facts() -> dict[str, Any]:
    return {
        "now": snapshot.take(),
        "fleet": app().fleet(),
        "events": newest(NEWEST),
        "logging": own().log_events,
        "dropped": event_writer.WRITER.dropped,
    }


def _staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


def _has_token(request: HttpRequest) -> bool:
    token = own().status_token
    said = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and secrets.compare_digest(said.encode(), str(token).encode())


def _login_url() -> str:
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return str(settings.LOGIN_URL)
