"""`STATE = "cache:alias"`: the server behind one of Django's caches as pilotlight's shared state.

A board needs several fields changed in one atomic step.  Django's cache interface can't
do that on any backend (its `aincr` is a get and a set even on Redis), so the cache is not
asked: pilotlight talks to its Redis server itself.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

PREFIX: Final = "cache:"
_REDIS: Final = "django.core.cache.backends.redis.RedisCache"
_REFUSED: Final = {
    "locmem.LocMemCache": "it is one process's own memory: every worker would trip for itself",
    "dummy.DummyCache": "it keeps nothing",
    "filebased.FileBasedCache": "its counters and its `add` are not atomic: trips would be lost",
    "db.DatabaseCache": "its counters are not atomic: trips would be lost",
    "memcached.PyMemcacheCache": "several fields can't be changed in one step: trips would be lost",
    "memcached.PyLibMCCache": "several fields can't be changed in one step: trips would be lost",
}


def resolve(state: Any) -> Any:
    """Return the address behind `cache:alias`, and anything else as it is.

    Raises `pilotlight.ConfigError` for a cache that can't hold shared state, with the reason.
    """
    from pilotlight import ConfigError

    if not isinstance(state, str) or not state.startswith(PREFIX):
        return state
    alias = state.removeprefix(PREFIX)
    cache = settings.CACHES.get(alias)
    if cache is None:
        raise ConfigError(f"STATE = {state!r}: CACHES has no {alias!r}")
    backend = cache["BACKEND"]
    if backend != _REDIS:
        told = next((why for name, why in _REFUSED.items() if backend.endswith(name)), "")
        raise ConfigError(
            f"STATE = {state!r}: {backend} can't hold shared state; "
            f"{told or 'it is not known to change several fields in one atomic step'}; "
            "use Django's RedisCache, or a file on one host, such as sqlite:///board.db"
        )
    location = cache.get("LOCATION")
    if isinstance(location, str):
        location = [each.strip() for each in location.replace(",", ";").split(";")]
    return location[0]  # Django writes to the first, and only reads from the others
