"""The HTTP clients that a guarded client is made again with."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from pilotlight.doors.guard.clients import Make
from pilotlight.doors.guard.home import Protection
from pilotlight.doors.guard.rules import Rules
from pilotlight.doors.guard.transport import transports


def maker(
    protection: Protection,
    dialects: frozenset[str],
    private: bool,
    total_timeout: float | None,
) -> Make:
    """Return what makes HTTP clients over our transports, of the family that the SDK has."""
    host = urlsplit(protection.endpoint.base_url).hostname or ""
    rules = Rules(protection, dialects, host, private, total_timeout)

    def make(http: Any, asynchronous: bool) -> Any:
        family = next(
            name for kind in type(http).__mro__
            if (name := kind.__module__.partition(".")[0]) in ("httpx", "httpx2")
        )  # fmt: skip
        module: Any = import_module(family)
        kind = module.AsyncClient if asynchronous else module.Client
        # Its SDK may have none of this colour, or make it when it is needed.
        inner = kind() if isinstance(http, module.Client) is asynchronous else http
        sync, coloured = transports(family)
        return kind(
            transport=(coloured if asynchronous else sync)(rules, inner),
            auth=http.auth,
            base_url=http.base_url,
            headers=http.headers,
            cookies=http.cookies,
            timeout=http.timeout,
            follow_redirects=http.follow_redirects,
            event_hooks=inner.event_hooks,
            trust_env=False,
        )

    return make
