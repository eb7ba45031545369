"""Planning a game day: for whoever posts one, on a drill file, a board, or as a site's order."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from pilotlight.core.drills.schedule import GameDay
from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight

__all__ = ["GameDay", "plan"]


def plan(
    app: Pilotlight,
    under_way: tuple[GameDay, ...],
    target: str,
    route: str | None,
    seconds: float,
    rate: float,
    *,
    alone: bool = False,
) -> GameDay:
    """Return the game day that is asked for, beginning now.

    `target` is a target's name, a model or a provider; `route` None means every route.
    Raises ConfigError for one that makes no sense, and, unless `alone`, where it and those
    under way together leave calls without another target.
    """
    routes = {route: app.route(route)} if route else app.routes
    name = None if route is None else routes[route].name  # "default" may stand for another
    day = GameDay(secrets.token_hex(4), target, rate, time.time() + seconds, name)
    known = {each for on in routes.values() for each in on.targets}
    if not any(day.means(on.name, each) for on in routes.values() for each in on.targets):
        names = ", ".join(sorted(each.name for each in known)) or "none"
        where = f"route {route!r} has" if route else "the routes have"
        raise ConfigError(f"{where} no target {target!r}; it can be refused: {names}")
    if (left := _left_alone(app, (*under_way, day))) and not alone:
        raise ConfigError(
            f"this leaves {' and '.join(left)} without another target: {rate:.0%} of the calls "
            "would fail; to do it all the same, add --yes"
        )
    return day


def _left_alone(app: Pilotlight, days: tuple[GameDay, ...]) -> list[str]:
    """Name the calls for which the last one leaves nobody, if all strike them at once."""
    new = days[-1]
    alone = []
    for name, route in app.routes.items():
        homes = [each for each in route.targets if each.is_local]
        kinds = {"private calls of ": homes} | ({} if route.private else {"": route.targets})
        for kind, able in kinds.items():
            hit = [each for each in able if any(day.means(name, each) for day in days)]
            if any(new.means(name, each) for each in hit) and len(hit) == len(able):
                alone.append(f"{kind}route {name}")
    return alone
