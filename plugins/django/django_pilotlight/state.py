"""`STATE = "cache:alias"`: the server behind one of Django's caches as pilotlight's shared state.

A board needs several fields changed in one atomic step.  Django's cache interface can't
do that on any backend (its `aincr` is a get and a set even on Redis), so the cache is not
asked: pilotlight talks to its Redis server itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

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
# Of its OPTIONS: who logs in where goes along, and what makes another kind of connection can't.
_CARRIED: Final = ("username", "password", "db")
_STRANGE: Final = ("pool_class", "connection_class", "credential_provider")


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
    options = cache.get("OPTIONS") or {}
    if strange := [name for name in _STRANGE if options.get(name) is not None]:
        raise ConfigError(
            f"STATE = {state!r}: pilotlight connects by itself, and can't follow the cache's "
            f"option {strange[0]!r}; give STATE the server's own address, such as redis://host:6379/0"
        )
    return _with_options(location[0], options)  # Django writes to the first, and reads the others


def _with_options(url: str, options: Mapping[str, Any]) -> str:
    """Return the address with the options that say who logs in where; what it says itself wins."""
    carried = dict(_carried(url, options))
    if not carried:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(carried)}"


def _carried(url: str, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    names = [*_CARRIED, *(name for name in options if name.startswith("ssl_"))]
    for name in names:
        value = options.get(name)
        if value is None or (name == "db" and urlsplit(url).path.strip("/").isdecimal()):
            continue
        yield name, value
