"""The addresses of the site under test."""

from django.contrib import admin
from django.urls import include, path
from health_check.views import HealthCheckView

from testapp import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("llm/", include("django_pilotlight.urls")),
    path("ask", views.ask),
    path("aask", views.aask),
    path("private", views.private),
    path("aprivate", views.aprivate),
    path("stream", views.stream),
    path("astream", views.astream),
    path("events", views.events),
    path("body", views.body),
    path("abody", views.abody),
    path("inside", views.inside),
    path("health", HealthCheckView.as_view(checks=["django_pilotlight.contrib.health.Route"])),
    path(
        "health/strict",
        HealthCheckView.as_view(
            checks=[("django_pilotlight.contrib.health.Route", {"strict": True})]
        ),
    ),
]
