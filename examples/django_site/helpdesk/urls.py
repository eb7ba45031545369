"""Where things are."""

from django.contrib import admin
from django.urls import include, path

from helpdesk import views

urlpatterns = [
    path("", views.page),
    path("ask", views.ask),
    path("admin/", admin.site.urls),
    path("llm/", include("django_pilotlight.urls")),
]
