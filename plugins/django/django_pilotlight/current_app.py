"""The settings, and the pilotlight that is made of them: at the first call, once a process.

    PILOTLIGHT = {
        "TARGETS": {"local": {"model": "ollama/llama3.2"}},
        "ROUTES": {"default": {"targets": ["openai/gpt-4o", "local"], "deadline": 30}},
    }

The upper-case names of pilotlight.toml's tables; what is inside them is written as
there.  A route may name a model that is no target: it becomes one, with the defaults.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings

if TYPE_CHECKING:
    from pilotlight import Pilotlight, Route

NAMES: Final = ("PILOTLIGHT", "PILOTLIGHT_CONFIG")


@dataclass(frozen=True, slots=True)
class Own:
    """The plugin's own keys of `PILOTLIGHT`.

    `log_events`: whether failovers are written to the database, and the operators'
    orders read from it; `database` is its alias.  `status_token`: who sends it as a
    bearer token may read the status as JSON.
    """

    log_events: bool = True
    database: str = "default"
    status_token: str | None = None


OWN: Final = {each.name.upper(): each.name for each in fields(Own)}
TABLES: Final = (
    "TARGETS",
    "ROUTES",
    "BREAKER",
    "RETRY",
    "SENSITIVE",
    "RECEIPTS",
    "TELEMETRY",
    "STATE",
)


def given() -> Mapping[str, Any]:
    """Return the setting `PILOTLIGHT` as it is; empty when it is missing or no mapping."""
    found = getattr(django_settings, "PILOTLIGHT", None)
    return found if isinstance(found, Mapping) else {}


def own() -> Own:
    """Return the plugin's own settings."""
    found = given()
    return Own(**{name: found[key] for key, name in OWN.items() if key in found})


def source() -> dict[str, Any] | str | None:
    """Return what pilotlight is to load: tables, the path of a file, or None to look for one.

    Raises `pilotlight.ConfigError` for a cache that can't hold shared state.
    """
    tables = {key.lower(): value for key, value in given().items() if key not in OWN}
    if not tables:
        path = getattr(django_settings, "PILOTLIGHT_CONFIG", None)
        return None if path is None else str(Path(path))
    if isinstance(tables.get("routes"), Mapping):
        targets = tables.get("targets") or {}
        if isinstance(targets, Mapping):
            tables["targets"] = {**dict(_bare_models(tables["routes"], targets)), **targets}
    if "state" in tables:
        from django_pilotlight.state import resolve

        tables["state"] = resolve(tables["state"])
    return tables


def _bare_models(
    routes: Mapping[str, Any], targets: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, str]]]:
    for route in routes.values():
        for name in route.get("targets") or () if isinstance(route, Mapping) else ():
            if isinstance(name, str) and "/" in name and name not in targets:
                yield name, {"model": name}


class Holder:
    """The process's own pilotlight: made at the first call, made anew when settings change."""

    def __init__(self) -> None:
        self.begin_afresh()
        self._app: Pilotlight | None = None
        self.route: Callable[[str], Route] | None = None
        """What answers in the place of the configuration's routes; for tests."""

    def begin_afresh(self) -> None:
        """Take a lock that nobody holds, as in a forked child."""
        self._lock = threading.Lock()

    def app(self) -> Pilotlight:
        """Return it; raises `pilotlight.ConfigError` for settings that can't be used."""
        if self._app is None:
            with self._lock:
                if self._app is None:
                    self._app = _load()
        return self._app

    def reset(self) -> None:
        """Close it; the next call makes another."""
        with self._lock:
            old, self._app = self._app, None
        if old is not None:
            old.close()


HOLDER: Final = Holder()


def _load() -> Pilotlight:
    import pilotlight

    loaded = pilotlight.load(source())
    hear()
    return loaded


def hear() -> None:
    """Hear of what happens in calls, for the signals and the log of events."""
    import pilotlight
    from django_pilotlight import signals

    if signals.tell not in pilotlight.listeners:
        pilotlight.listeners.append(signals.tell)


def app() -> Pilotlight:
    """Return this process's `pilotlight.Pilotlight`, made of the settings at its first use.

    Raises `pilotlight.ConfigError`; `manage.py check` tells the same earlier.
    """
    return HOLDER.app()


def route(name: str) -> Route:
    """Return a route by its name; in a test, the one that stands in for it."""
    return app().route(name) if HOLDER.route is None else HOLDER.route(name)


def on_setting_changed(*, setting: str, **_: Any) -> None:
    """Forget what was made of settings that have changed: for `override_settings`."""
    if setting in (*NAMES, "CACHES"):
        HOLDER.reset()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=HOLDER.begin_afresh)
