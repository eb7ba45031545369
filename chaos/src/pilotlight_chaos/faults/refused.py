"""Nobody listens at the port."""

from __future__ import annotations

from .base import Address, Site


class Refused(Address):
    kind = "refused"
    about = "a port at which nobody listens"

    def url(self, site: Site) -> str:
        return f"http://127.0.0.1:{site.closed_port()}"
