"""System checks: `manage.py check`, and with `--deploy` also the keys.  Nothing is contacted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004

from django_pilotlight import settings

MIDDLEWARE: Final = "django_pilotlight.middleware.LLMContextMiddleware"

# What the core says of a configuration, by its words; the first that matches names the id.
_KINDS: Final = (
    ("pilotlight.E001", r": unknown key"),
    ("pilotlight.E002", r"routes\.[^:]*\.targets: (missing|needs at least one|unknown target)"),
    ("pilotlight.E003", r"sensitive: "),
    ("pilotlight.E006", r"STATE = "),
    ("pilotlight.E005", r""),
)


def register_all() -> None:
    """Register them with Django."""
    register(check_settings, "pilotlight")
    register(check_middleware, "pilotlight")
    register(check_keys, "pilotlight", deploy=True)


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001 to E003, E005 to E007, W004: what the settings say can't be used."""
    value: Any = getattr(django_settings, "PILOTLIGHT", {})
    if not isinstance(value, dict):
        hint = 'PILOTLIGHT = {"TARGETS": {...}, "ROUTES": {"default": {"targets": [...]}}}'
        return [_error("E001", f"PILOTLIGHT is a {type(value).__name__}, not a dict.", hint)]
    return [*_unknown_keys(value), *_two_sources(value), *_refused(), *_own_values()]


def _unknown_keys(value: dict[str, Any]) -> Iterator[CheckMessage]:
    known = [*settings.TABLES, *settings.OWN]
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key).upper(), known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}."
            yield _error("E001", f"PILOTLIGHT has an unknown key {key!r}.", hint)


def _own_values() -> Iterator[CheckMessage]:
    own: Any = settings.own()  # as it was written: of any type
    if own.database not in django_settings.DATABASES:
        hint = f"Known: {', '.join(django_settings.DATABASES)}."
        yield _error("E005", f"PILOTLIGHT['DATABASE']: unknown database {own.database!r}.", hint)
    if not isinstance(own.log_events, bool):
        yield _error("E005", "PILOTLIGHT['LOG_EVENTS'] is no bool.", "True or False.")
    if own.status_token is not None and len(str(own.status_token)) < 16:
        hint = "python -c 'import secrets; print(secrets.token_urlsafe())'"
        yield _error("E005", "PILOTLIGHT['STATUS_TOKEN'] is shorter than 16 characters.", hint)


def _two_sources(value: dict[str, Any]) -> Iterator[CheckMessage]:
    if set(value) & set(settings.TABLES) and getattr(django_settings, "PILOTLIGHT_CONFIG", None):
        hint = "Keep the one or the other."
        yield _error("E007", "PILOTLIGHT holds tables, and PILOTLIGHT_CONFIG a file.", hint)


def _refused() -> Iterator[CheckMessage]:
    """Tell what the core says of the configuration, line by line."""
    from pilotlight import ConfigError
    from pilotlight.config.schema import load_config

    top = {key.lower() for key in settings.given()} - {key.lower() for key in settings.TABLES}
    try:
        load_config(settings.source())
    except ConfigError as error:
        for line in str(error).splitlines():
            text = line.replace("the given mapping: ", "PILOTLIGHT: ", 1)
            said = re.search(r"PILOTLIGHT: (\w+): unknown key", text)
            if said and said[1] in top:
                continue  # told already
            message, _, mend = text.partition("; ")
            name = next(name for name, words in _KINDS if re.search(words, text))
            yield Error(f"{message}.", hint=mend or None, id=name)
    else:
        yield from _private_routes()


def _private_routes() -> Iterator[CheckMessage]:
    for name, route in _quiet().routes.items():
        sensitive = route.private or route.sensitive is not None
        if sensitive and not any(target.local for target in route.targets):
            yield Warning(
                f"The route {name!r} may be private, and has no local target: "
                "its private calls would be refused.",
                hint='Add an Ollama model to its targets, such as "ollama/llama3.2".',
                id="pilotlight.W004",
            )


def _quiet() -> Any:
    """Return a pilotlight that keeps no receipts and sends no telemetry: it is only looked at."""
    from pilotlight import Pilotlight
    from pilotlight.config.schema import load_config

    config = load_config(settings.source())
    return Pilotlight(config.model_copy(update={"receipts": type(config.receipts)()}))


def check_middleware(**_: Any) -> list[CheckMessage]:
    """W002: without the middleware, a streaming body written by hand loses its context."""
    if MIDDLEWARE in django_settings.MIDDLEWARE or _subclassed():
        return []
    return [
        Warning(
            "The middleware is missing: requests have no id for the log of events, and "
            "streaming bodies lose the context of their request.",
            hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE.",
            id="pilotlight.W002",
        )
    ]


def _subclassed() -> bool:
    from django.utils.module_loading import import_string

    from django_pilotlight.middleware import LLMContextMiddleware

    for path in django_settings.MIDDLEWARE:
        try:
            found = import_string(path)
        except ImportError:
            continue  # Django's own business
        if isinstance(found, type) and issubclass(found, LLMContextMiddleware):
            return True
    return False


def check_keys(**_: Any) -> list[CheckMessage]:
    """E004, with `--deploy`: a target without its API key."""
    from pilotlight import ConfigError

    try:
        app = _quiet()
    except ConfigError:
        return []  # told by check_settings
    missing = {name: app.missing_key(name) for name in app.config.targets}
    return [
        _error("E004", f"The target {name!r} has no API key.", mend)
        for name, mend in missing.items()
        if mend is not None
    ]


def _error(number: str, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"pilotlight.{number}")
