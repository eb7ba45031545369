"""The status page and its JSON, livez and readyz, the admin and django-health-check."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_pilotlight import chart
from django_pilotlight.current_app import app
from django_pilotlight.models import FailoverEvent

from .conftest import config, post_on_board

STATUS, JSON = "/llm/", "/llm/status.json"


@pytest.fixture
def staff(db) -> User:
    """A member of staff who may look at the events, and no more."""
    user = User.objects.create_user("ann", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_failoverevent"))
    return user


@pytest.fixture
def page(site, staff) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def happened(**fields: object) -> FailoverEvent:
    given = {"kind": "failed_over", "route": "default", "target": "gpt", "to_target": "local"}
    return FailoverEvent.objects.create(**given | {"reason": "overloaded"} | fields)


def test_the_page_shows_what_is(page):
    happened(request_id="abc")
    app().target("gpt").health.breaker.trip("overloaded", 60)
    reply = page.get(STATUS)
    text = reply.content.decode()
    for words in ("served by a fallback", "gpt → local", "openai/gpt-4o", "overloaded", "0 of 4"):
        assert words in text, words
    assert "<script>" not in text, "a strict Content-Security-Policy allows no inline script"
    assert "http" not in text.replace("http://127", ""), "nothing from elsewhere"
    assert reply["Cache-Control"].startswith("max-age=0")


def test_the_part_that_is_brought_up_to_date(page):
    text = page.get(STATUS, {"live": ""}).content.decode()
    assert text.startswith('<p class="lead ok">')
    assert "<html" not in text


@pytest.mark.parametrize("path", [STATUS, STATUS + "?live"])
def test_the_page_is_closed_to_others(path, site, db):
    client = Client()
    reply = client.get(path)
    assert reply.status_code == 302
    assert reply["Location"].startswith("/admin/login/?next=")
    client.force_login(User.objects.create_user("bob"))
    assert client.get(path).status_code == 403
    client.force_login(User.objects.create_user("eve", is_staff=True, is_active=False))
    assert client.get(path).status_code == 302


def test_the_json_is_closed_to_others(site, db):
    assert Client().get(JSON).status_code == 403
    bearer = {"authorization": "Bearer "}
    assert Client().get(JSON, headers=bearer).status_code == 403


def test_the_json_for_staff_and_for_a_token(page, chaos, settings):
    happened()
    told = page.get(JSON).json()
    assert told["standing"] == "ok"
    assert [each["name"] for each in told["targets"]] == ["gpt", "local"]
    assert told["events"][0]["reason"] == "overloaded"
    token = "a-token-of-some-length"
    settings.PILOTLIGHT = config(chaos, STATUS_TOKEN=token)
    for said, status in ((token, 200), (token[:-1], 403), ("ünlikely", 403)):
        reply = Client().get(JSON, headers={"authorization": f"Bearer {said}"})
        assert reply.status_code == status
    assert "sk-test" not in json.dumps(told)


def test_the_page_shows_what_the_fleet_knows(page, chaos, settings, tmp_path):
    assert "Each worker keeps its own" in page.get(STATUS).content.decode()
    board = tmp_path / "board.db"
    settings.PILOTLIGHT = config(chaos, STATE=f"sqlite:///{board}")
    assert "All closed." in page.get(STATUS).content.decode()
    assert not board.exists(), "looking writes nothing"
    post_on_board(board, "rate_limited")
    text = page.get(STATUS).content.decode()
    assert "worker 12-ab" in text
    assert text.count("rate limited") == 1, "this worker has not heard of it yet"
    [told] = page.get(JSON).json()["fleet"]["notices"]
    assert (told["target"], told["state"], told["by"]) == ("gpt", "open", "12-ab")
    board.write_bytes(b"garbage" * 999)
    assert "be read: DatabaseError" in page.get(STATUS).content.decode()


def test_a_table_that_is_missing_does_not_hide_the_breakers(page):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_pilotlight_failoverevent RENAME TO elsewhere")
    reply = page.get(STATUS)
    assert b"migrate" in reply.content
    assert b"openai/gpt-4o" in reply.content
    assert page.get(JSON).json()["events"] == []


@pytest.mark.parametrize("path", [STATUS, JSON, "/llm/livez", "/llm/readyz"])
def test_nothing_is_changed_by_a_post(path, page):
    assert page.post(path).status_code == 405


def test_livez_and_readyz(site):
    assert Client().get("/llm/livez").content == b"ok\n"
    assert Client().get("/llm/readyz").json() == {"status": "ok"}
    app().target("gpt").health.breaker.trip("forced", 60)
    reply = Client().get("/llm/readyz")
    assert (reply.status_code, reply.json()) == (200, {"status": "degraded"})
    app().target("local").health.breaker.trip("forced", 60)
    reply = Client().get("/llm/readyz")
    assert (reply.status_code, reply.json()) == (200, {"status": "down"})


def test_a_break_that_is_over_is_not_all_well_before_a_trial_has_said_so(page):
    breaker = app().target("gpt").health.breaker
    breaker.trip("overloaded", 0.0)
    assert Client().get("/llm/readyz").json() == {"status": "degraded"}
    text = page.get(STATUS).content.decode()
    assert "overloaded, the next call tries it" in text
    assert "Some routes are served by a fallback." in text
    app().target("local").health.breaker.trip("forced", 60)
    assert page.get(JSON).json()["routes"][0]["serving"] == "gpt"
    assert Client().get("/llm/readyz").json() == {"status": "degraded"}
    breaker.close()
    assert Client().get("/llm/readyz").json() == {"status": "ok"}


def test_a_configuration_that_can_not_be_used_is_not_ready(settings):
    settings.PILOTLIGHT = {"ROUTES": {"default": {"targets": ["nobody"]}}}
    reply = Client().get("/llm/readyz")
    assert (reply.status_code, reply.json()) == (503, {"status": "misconfigured"})


def test_a_private_route_goes_by_its_local_targets(chaos, settings):
    routes = {"default": {"targets": ["gpt", "local"], "private": True}}
    settings.PILOTLIGHT = config(chaos, ROUTES=routes)
    app().target("gpt").health.breaker.trip("forced", 60)
    assert Client().get("/llm/readyz").json() == {"status": "ok"}
    app().target("local").health.breaker.trip("forced", 60)
    assert Client().get("/llm/readyz").json() == {"status": "down"}


# django-health-check.


@pytest.mark.parametrize(
    "tripped, word, lax, strict",
    [([], "ok", 200, 200), (["gpt"], "degraded", 200, 200), (["gpt", "local"], "down", 200, 500)],
)
def test_health_check_is_red_only_when_asked_to_be(tripped, word, lax, strict, site):
    for name in tripped:
        app().target(name).health.breaker.trip("forced", 60)
    reply = Client().get("/health", {"format": "json"})
    assert reply.status_code == lax
    assert Client().get("/health/strict", {"format": "json"}).status_code == strict


def test_health_check_of_a_bad_configuration(settings):
    settings.PILOTLIGHT = {"ROUTES": {"default": {"targets": ["nobody"]}}}
    assert Client().get("/health", {"format": "json"}).status_code == 500


# The admin.


def test_the_admin_may_be_read_by_staff_without_write_rights(page):
    event = happened()
    listed = page.get(reverse("admin:django_pilotlight_failoverevent_changelist"))
    assert listed.status_code == 200
    text = listed.content.decode()
    assert "Events a day" in text
    assert "Delete selected" not in text
    assert "gpt → local" in text
    one = page.get(reverse("admin:django_pilotlight_failoverevent_change", args=[event.pk]))
    assert one.status_code == 200
    assert b'name="_save"' not in one.content


@pytest.mark.parametrize("what", ["add", "change", "delete"])
def test_not_even_a_superuser_edits_the_log(what, site, admin_client):
    event = happened()
    arguments = [] if what == "add" else [event.pk]
    url = reverse(f"admin:django_pilotlight_failoverevent_{what}", args=arguments)
    assert admin_client.post(url, {"route": "x", "post": "yes"}).status_code == 403
    assert FailoverEvent.objects.get().route == "default"


@pytest.mark.parametrize(
    "query, count",
    [
        ({}, 3),
        ({"kind__exact": "breaker_opened"}, 1),
        ({"reason": "overloaded"}, 2),
        ({"q": "r-9"}, 1),
    ],
)
def test_filters_and_the_chart_agree(query, count, page):
    happened()
    happened(request_id="r-9", at=timezone.now() - timedelta(days=3))
    happened(kind="breaker_opened", reason="forced")
    reply = page.get(reverse("admin:django_pilotlight_failoverevent_changelist"), query)
    assert reply.context_data["cl"].queryset.count() == count
    assert sum(bar.count for bar in reply.context_data["bars"]) == count


@pytest.mark.django_db
def test_the_chart_has_two_weeks_up_to_the_newest():
    assert chart.bars(FailoverEvent.objects.all()) == []
    now = timezone.now()
    for days in (0, 0, 13, 14):
        happened(at=now - timedelta(days=days))
    bars = chart.bars(FailoverEvent.objects.all())
    assert len(bars) == chart.DAYS
    assert [bar.count for bar in bars] == [1, *[0] * 12, 2]
    assert bars[-1].height == chart.HEIGHT


def test_budgets_stand_on_the_page_and_in_the_admin(site, page):
    budget = {"usd": 2, "per": "day", "unknown": "refuse"}
    site.PILOTLIGHT = {**site.PILOTLIGHT, "BUDGETS": {"team": budget}}
    app().ledgers["team"].reserve(2.0).settle(2.0)
    assert "$2.00 of $2.00 today" in page.get(STATUS).content.decode()
    text = page.get(reverse("admin:django_pilotlight_failoverevent_changelist")).content.decode()
    assert "$2.00 of $2.00 today <strong>(spent)</strong>" in text


def test_others_do_not_see_the_admin(db, site):
    client = Client()
    client.force_login(User.objects.create_user("no-rights", is_staff=True))
    url = reverse("admin:django_pilotlight_failoverevent_changelist")
    assert client.get(url).status_code == 403
