"""The gateway as an application of somebody else's server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pilotlight.app import Pilotlight
    from pilotlight.doors.gateway.gateway import Gateway


def asgi(
    app: Pilotlight | None = None,
    *,
    keys: str | os.PathLike[str] | None = None,
    public: bool = False,
) -> Gateway:
    """Return the gateway as an ASGI application, to mount in Django, FastAPI or Starlette.

    `app` is the configuration, by default the process's own.  `keys` is a file of
    `pilotlight keys`: a key is needed then.  Without it only programs of this machine may ask,
    unless `public=True` says that somebody else has looked at each request already, such as
    your framework's own authentication.

    Raises ConfigError for a file of keys that can't be used.
    """
    from pilotlight.app import (
        Pilotlight,
        default,
    )  # whoever only names this function pays for none of it
    from pilotlight.doors.gateway.access import Access
    from pilotlight.doors.gateway.gateway import Gateway
    from pilotlight.doors.gateway.keys import KeyRing
    from pilotlight.errors import ConfigError

    given: Any = app
    if not isinstance(given, Pilotlight | None):
        kind = type(given).__name__
        raise ConfigError(f"asgi({kind}): it should be what pilotlight.load() returns")
    ring = None if keys is None else KeyRing(Path(keys))
    return Gateway(default() if app is None else app, Access(ring, public=public))
