"""Settings of the site under test; its models are asked by nobody but scripts and ChaosServer."""

import json
import os
from pathlib import Path

HERE = Path(__file__).parent
SECRET_KEY = "not-a-secret-of-anything-but-tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "testapp.urls"
USE_TZ = True
LOGGING_CONFIG = None
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"  # the app's migrations must not follow it
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_pilotlight",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_pilotlight.middleware.LLMContextMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TESTAPP_DB", ":memory:"),
        "OPTIONS": {"timeout": 20},
    }
}
if "TESTAPP_POSTGRES" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "site",
        "HOST": os.environ["TESTAPP_POSTGRES"],  # the folder of its socket
    }
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PILOTLIGHT = json.loads(os.environ.get("TESTAPP_PILOTLIGHT", "null")) or {
    "LOG_EVENTS": "TESTAPP_DB" in os.environ,
    "TARGETS": {
        "gpt": {
            "model": "openai/gpt-4o",
            "api_key": "sk-test",
            "api_base": os.environ.get("TESTAPP_OPENAI", "http://127.0.0.1:9/v1"),
            "concurrency": 4,
        },
        "local": {
            "model": "ollama/llama3.2",
            "api_base": os.environ.get("TESTAPP_OLLAMA", "http://127.0.0.1:9"),
        },
    },
    "ROUTES": {"default": {"targets": ["gpt", "local"], "total_timeout": 30}},
}
