"""The network itself answers: go and log in there.  Clients that follow end at a page, with 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import Reply, html
from .base import Act, Provider
from .garbage import LOGIN_PAGE

if TYPE_CHECKING:
    from ..answers import Ask

LOGIN_PATH = "/__portal"  # where the server keeps the page


class CaptivePortal(Act):
    kind = "captive_portal"
    about = "302 to the network's login page, which comes with 200"

    def refuse(self, provider: Provider, ask: Ask) -> Reply:
        return html(LOGIN_PAGE, 302, location=LOGIN_PATH)
