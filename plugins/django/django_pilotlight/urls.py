"""`path("llm/", include("django_pilotlight.urls"))`."""

from __future__ import annotations

from django.urls import path

from django_pilotlight import views

app_name = "django_pilotlight"
urlpatterns = [
    path("", views.status, name="status"),
    path("status.json", views.status_json, name="status-json"),
    path("files/<str:name>", views.file, name="file"),
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
]
