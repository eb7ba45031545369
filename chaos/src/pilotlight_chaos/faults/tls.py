"""The certificate is signed by nobody that anybody knows: an intercepting proxy's, say."""

from __future__ import annotations

from .base import Address, Site


class Tls(Address):
    kind = "tls"
    about = "https with a certificate that no client trusts"

    def url(self, site: Site) -> str:
        return f"https://127.0.0.1:{site.tls_port()}"
