"""What a route's fallbacks can't do that its primary can: better known before the outage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from pilotlight.core.needs import ABILITIES
from pilotlight.providers.abilities import knowledge

if TYPE_CHECKING:
    from pilotlight.assembly import Pilotlight
    from pilotlight.cli.setting import Place

Learned = Mapping[str, Collection[str]]


def gaps(app: Pilotlight, places: Collection[Place], learned: Learned) -> Iterator[tuple[str, str]]:
    """Yield for each route with a gap its name and the gap in words, where it is known.

    `learned` are the abilities that a server has told, by the target's name.
    """
    known = {place.name: _known(place, learned) for place in places}
    for name, route in app.config.routes.items():
        primary, *behind = route.targets
        able = {ability for ability in ABILITIES if known[primary].get(ability)}
        missing = {
            other: [each for each in ABILITIES if each in able and known[other].get(each) is False]
            for other in behind
        }
        told = [f"{other} can't do {', '.join(lost)}" for other, lost in missing.items() if lost]
        if told:
            yield name, f"{'; '.join(told)}, which {primary} can: calls that need it pass it over"


def _known(place: Place, learned: Learned) -> Mapping[str, bool]:
    told = place.config.abilities
    return knowledge(place.connection, learned.get(place.name) if told is None else told)
