"""The configuration as the commands see it: each target with its address and its key's name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from pilotlight.app import Pilotlight, load
from pilotlight.catalog import providers
from pilotlight.config.lookup import find_config
from pilotlight.config.targets import TargetConfig
from pilotlight.core.target import Target
from pilotlight.errors import ConfigError
from pilotlight.providers.connection import Connection
from pilotlight.routes.route import Route


@dataclass(frozen=True, slots=True)
class Place:
    """One target: what is configured, and where that leads."""

    name: str
    config: TargetConfig
    target: Target
    connection: Connection

    @property
    def is_ollama(self) -> bool:
        """Whether it is asked by Ollama's own API."""
        return self.connection.wire == "ollama"

    @property
    def model(self) -> str:
        """The model's name without the provider."""
        return self.connection.spec.bare_model

    @property
    def key_name(self) -> str:
        """The environment variable in which the key is, or should be."""
        if self.config.api_key.env:
            return self.config.api_key.env
        names = providers.info(self.config.provider).keys
        return next((name for name in names if os.environ.get(name)), names[0] if names else "")

    @property
    def key(self) -> str:
        """Return `present`, `missing` or `not needed`; never the key."""
        if self.connection.keyless:
            return "missing"
        return "present" if self.connection.api_key else "not needed"


def config_path(given: Path | None) -> Path | None:
    """Return the file that applies here, None when there is none."""
    return given or find_config()


def open_config(given: Path | None) -> Pilotlight:
    """Load the configuration; raises ConfigError, also when there is none."""
    if config_path(given) is None:
        raise no_config()
    return load(given)


def no_config() -> ConfigError:
    """Return what is raised where there is no configuration."""
    return ConfigError(
        "no configuration: no pilotlight.toml here or in a folder above; "
        "`pilotlight init` writes one"
    )


def the_route(app: Pilotlight, name: str | None) -> Route:
    """Return the route of this name, or the only one; raises UsageError, ConfigError."""
    known = app.config.routes
    if name is None and len(known) > 1 and "default" not in known:
        raise click.UsageError(f"several routes ({', '.join(known)}): choose one with --route NAME")
    return app.route(name or "default")


def places(app: Pilotlight) -> list[Place]:
    """Return the targets with their addresses."""
    return [
        Place(name, config, app.target(name), Connection(config.spec(name)))
        for name, config in app.config.targets.items()
    ]
