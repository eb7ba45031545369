"""A client's own endpoint as the first target of a route, and the clocks that its SDK wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from pilotlight.app import Pilotlight
from pilotlight.config.targets import TargetConfig
from pilotlight.core.provider import Timeouts
from pilotlight.core.requirements import ABILITIES
from pilotlight.core.target import Target
from pilotlight.providers.connection import Connection
from pilotlight.routes.route import Route

USUAL: Final = 600.0  # seconds that the SDKs of OpenAI and Anthropic wait when nothing is said


class Patience(NamedTuple):
    """Seconds that a client waits to connect, and between two bytes; None: for ever."""

    connect: float | None
    read: float | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client sends its calls: litellm's prefix, the address, and the key if it is known."""

    prefix: str
    base_url: str
    key: str | None


Behind: TypeAlias = str | tuple[str, ...] | Route | None
"""What stands behind a client: a route or its name, or models."""


@dataclass(frozen=True, slots=True)
class Protection:
    """A client's endpoint and what stands behind it; each model has a route, made at first use."""

    app: Pilotlight
    endpoint: Endpoint
    behind: Behind

    def backing(self) -> Route | None:
        """Return the route whose targets come after the client's own.

        Raises ConfigError for an unknown name.
        """
        if self.behind is None or isinstance(self.behind, Route):
            return self.behind
        if isinstance(self.behind, str):
            return self.app.route(self.behind)
        return self.app.adhoc(self.behind)

    def route(self, model: str, stream: bool, patience: Patience) -> Route:
        """Return the route of a model of the client's."""
        key = ("guard", self.endpoint, self.behind, model, stream, patience)
        return self.app.lent(key, lambda: self._made(model, stream, patience))

    def _made(self, model: str, stream: bool, patience: Patience) -> Route:
        home, backing = self._home(model), self.backing()
        behind = [] if backing is None else [t for t in backing.targets if not _same(t, home)]
        if home.name in [target.name for target in behind]:
            home.name += " of the client"
        home.timeouts = clocks(home.timeouts, patience, stream=stream, alone=not behind)
        if backing is None:
            return self.app.plain_route(home.name, (home,))
        return replace(backing, targets=(home, *behind))

    def _home(self, model: str) -> Target:
        """Return a target of the client's own, by the table of the one that is configured so."""
        endpoint, app = self.endpoint, self.app
        name = f"{endpoint.prefix}/{model}"
        base = endpoint.base_url.rstrip("/")
        for known, config in app.config.targets.items():
            target = app.target(known)
            if config.model == name and _place(target) == (name, base, endpoint.key):
                return app.make_target(known, config)
        table: dict[str, object] = {"model": name, "api_base": base}
        table["abilities"] = ABILITIES  # its own API knows what it can do, and says so
        if endpoint.key:
            table["api_key"] = endpoint.key
        return app.make_target(name, TargetConfig.model_validate(table))


def _place(target: Target) -> tuple[str, str, str | None] | None:
    connection = getattr(target.provider, "connection", None)
    if not isinstance(connection, Connection):
        return None
    return (target.model, connection.base_url.rstrip("/"), connection.api_key)


def _same(one: Target, other: Target) -> bool:
    return _place(one) is not None and _place(one) == _place(other)


def clocks(base: Timeouts, patience: Patience, *, stream: bool, alone: bool) -> Timeouts:
    """Return the clocks of the client's own target.

    Where nobody stands behind it the SDK's own limits hold: giving up sooner helps nobody.
    Otherwise those of any target do, cut short by the SDK's, and a whole answer may take as long
    as the SDK was told to wait.  A stream may take as long as it likes, while it goes on.
    """
    read = patience.read
    connect = _least(base.connect, patience.connect)
    if alone:
        return Timeouts(connect, read, read, None if stream else read)
    first, between = _least(base.first_token, read), _least(base.between_tokens, read)
    if stream:
        return Timeouts(connect, first, between, None)
    told = read is not None and read != USUAL
    return Timeouts(connect, first, between, read if told else _least(base.total, read))


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
