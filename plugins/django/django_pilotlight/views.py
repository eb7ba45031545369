"""The status page, the same as JSON, and the two answers for a load balancer."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from django_pilotlight import event_writer
from django_pilotlight.current_app import app
from django_pilotlight.models import newest
from django_pilotlight.settings import own

if TYPE_CHECKING:
    from pilotlight.status.page import Happening

NEWEST = 20  # events on the page


@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponseBase:
    """Show staff how this worker sees its targets, what the fleet knows, and the newest events."""
    if not _staff(request):
        if getattr(request, "user", None) is None or request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path(), _login_url(), REDIRECT_FIELD_NAME)
    from pilotlight.status import page

    facts = _facts()
    live = page.live(facts["now"], facts["fleet"], _happened(facts), _notes(facts), "STATE")
    if "live" in request.GET:
        return HttpResponse(live)
    here = reverse("django_pilotlight:status")
    files = [reverse("django_pilotlight:file", args=[name]) for name in page.FILES]
    links = page.Links(here, reverse("django_pilotlight:status-json"), *files)
    return HttpResponse(page.document(links, live))


@require_safe
@cache_control(max_age=300)
def file(request: HttpRequest, name: str) -> HttpResponse:
    """Give one of the page's own files: its style, its script, its icon."""
    from pilotlight.status import page

    if name not in page.FILES:
        raise Http404
    return HttpResponse(page.file(name), content_type=page.FILES[name])


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
    from pilotlight.status import snapshot

    try:
        return JsonResponse({"status": snapshot.take(app()).standing})
    except ConfigError:
        return JsonResponse({"status": "misconfigured"}, status=503)


def _facts() -> dict[str, Any]:
    from pilotlight.status import snapshot

    return {
        "now": snapshot.take(app()),
        "fleet": app().fleet(),
        "events": newest(NEWEST),
        "logging": own().log_events,
        "dropped": event_writer.WRITER.dropped,
    }


def _happened(facts: dict[str, Any]) -> list[Happening]:
    from pilotlight.status.page import Happening

    return [
        Happening(
            timezone.localtime(each.at) if timezone.is_aware(each.at) else each.at,
            each.get_kind_display(),
            each.route,
            each.target,
            each.to_target,
            each.reason,
            each.request_id,
        )
        for each in facts["events"] or ()
    ]


def _notes(facts: dict[str, Any]) -> list[str]:
    """Return what keeps events from being shown."""
    notes = []
    if not facts["logging"]:
        notes.append("Events are not logged: LOG_EVENTS is off.")
    if facts["events"] is None:
        notes.append("The database can't be read just now; or manage.py migrate was not run.")
    if dropped := facts["dropped"]:
        notes.append(f"Events of this worker that could not be written: {dropped}.")
    return notes


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
