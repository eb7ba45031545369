"""The settings of the site: what pilotlight is to load, and what is the plugin's own.

    PILOTLIGHT = {
        "TARGETS": {"local": {"model": "ollama/llama3.2"}},
        "ROUTES": {"default": {"targets": ["openai/gpt-4o", "local"], "total_timeout": 30}},
    }

The upper-case names of pilotlight.toml's tables; what is inside them is written as
there.  A route may name a model that is no target: it becomes one, with the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from django.conf import settings as django_settings

from django_pilotlight import state

NAMES: Final = ("PILOTLIGHT", "PILOTLIGHT_CONFIG")


@dataclass(frozen=True, slots=True)
class Own:
    """The plugin's own keys of `PILOTLIGHT`.

    `log_events`: whether failovers are written to the database, and operators'
    commands read from it; `database` is its alias.  `status_token`: who sends it as a
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
        tables["state"] = state.resolve(tables["state"])
    return tables


def _bare_models(
    routes: Mapping[str, Any], targets: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, str]]]:
    for route in routes.values():
        for name in route.get("targets") or () if isinstance(route, Mapping) else ():
            if isinstance(name, str) and "/" in name and name not in targets:
                yield name, {"model": name}
