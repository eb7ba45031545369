"""What a route's fallbacks can't do that its primary can: better known before the outage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from pilotlight.core.requirements import ABILITIES
from pilotlight.providers.abilities import knowledge

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.cli.looking.setting import Place

Learned = Mapping[str, Collection[str]]


def gaps(
    app: Pilotlight, places: Collection[Place], learned: Learned
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield route, target and abilities, where a target is known to lack what the first one has.

    `learned` are the abilities that a server has told, by the target's name.
    """
    known = {place.name: _known(place, learned) for place in places}
    for name, route in app.config.routes.items():
        primary, *behind = route.targets
        able = [ability for ability in ABILITIES if known[primary].get(ability)]
        for other in behind:
            if lost := tuple(each for each in able if known[other].get(each) is False):
                yield name, other, lost


def _known(place: Place, learned: Learned) -> Mapping[str, bool]:
    told = place.config.abilities
    return knowledge(place.connection, learned.get(place.name) if told is None else told)
