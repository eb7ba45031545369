"""A chaos server and routes to it, over the real litellm path."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pilotlight
from pilotlight.routes.route import Route
from pilotlight_chaos import ChaosServer
from pilotlight_chaos.answers import Ask

ASK = [{"role": "user", "content": "hi"}]
PRIMARY, BACKUP = "primary", "backup"
_numbers = itertools.count(1)


def says(ask: Ask) -> str:
    """Ten tokens that tell who answered."""
    letter = "P" if ask.name.startswith(PRIMARY) else "F"
    return " ".join(f"{letter}{number}" for number in range(10))


def fresh(role: str) -> str:
    """Return a provider's name that nobody has used: so its breaker and counters are new."""
    return f"{role}-{next(_numbers)}"


def target(server: ChaosServer, name: str, **options: Any) -> dict[str, Any]:
    """Return the configuration of an OpenAI-style target on the server."""
    base = f"{server.base(name)}/v1"
    return {"model": "openai/gpt-4o", "api_base": base, "api_key": f"sk-{name}", **options}


def route_over(targets: Mapping[str, Mapping[str, Any]], **options: Any) -> Route:
    """Return a route of these targets, in this order."""
    chat = {"targets": list(targets), **options}
    return pilotlight.load({"targets": dict(targets), "routes": {"chat": chat}}).route("chat")


def pair(server: ChaosServer, primary: str, backup: str, **options: Any) -> Route:
    """Return a route of a primary and a healthy second target."""
    both = {name: target(server, name, **options) for name in (primary, backup)}
    return route_over(both)


@contextmanager
def house() -> Iterator[ChaosServer]:
    """Run a server, with litellm imported and its lazy parts warm, as in a running program."""
    with ChaosServer(reply=says) as server:
        name = fresh(BACKUP)
        route = route_over({name: target(server, name)})
        for _ in range(3):
            route.complete(ASK)
            list(route.stream(ASK))
        yield server
