"""The process's own `pilotlight.Pilotlight`: made of the settings at the first call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django_pilotlight import settings

if TYPE_CHECKING:
    from pilotlight import Pilotlight, Route


class Holder:
    """The process's own pilotlight: made at the first call, made anew when settings change."""

    def __init__(self) -> None:
        self.begin_afresh()
        self._app: Pilotlight | None = None
        self.route: Callable[[str], Route] | None = None
        """What answers in the place of the configuration's routes; for tests."""
        self._then: Callable[[], None] | None = None

    def begin_afresh(self) -> None:
        """Take a lock that nobody holds, as in a forked child."""
        self._lock = threading.Lock()

    def app(self) -> Pilotlight:
        """Return it; raises `pilotlight.ConfigError` for settings that can't be used."""
        if self._app is None:
            with self._lock:
                if self._app is None:
                    self._app = self._load()
        return self._app

    def _load(self) -> Pilotlight:
        import pilotlight

        loaded = pilotlight.load(settings.source())
        if self._then is not None:
            self._then()
        return loaded

    def when_loaded(self, then: Callable[[], None]) -> None:
        """Call `then` whenever one has been made, and now if there is one already."""
        with self._lock:
            self._then = then
            if self._app is not None:
                then()

    def reset(self) -> None:
        """Close it; the next call makes another."""
        with self._lock:
            old, self._app = self._app, None
        if old is not None:
            old.close()


HOLDER: Final = Holder()


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
    if setting in (*settings.NAMES, "CACHES"):
        HOLDER.reset()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=HOLDER.begin_afresh)
