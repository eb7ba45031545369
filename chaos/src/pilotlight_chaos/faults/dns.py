"""The name of the host leads nowhere."""

from __future__ import annotations

from .base import Address, Site


class Dns(Address):
    kind = "dns"
    about = "a host name that does not resolve (under .invalid, RFC 6761)"

    def url(self, site: Site) -> str:
        return f"http://provider.invalid:{site.port}"
