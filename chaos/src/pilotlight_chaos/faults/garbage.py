"""Status 200 with a page for people, where JSON or events were expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import Reply, html
from .base import Act, Provider

if TYPE_CHECKING:
    from ..answers import Ask

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Network login</title></head>"
    "<body>Please sign in to continue.</body></html>"
)


class Garbage(Act):
    kind = "garbage"
    about = "200 with an HTML login page"

    def instead(self, provider: Provider, ask: Ask, body: str) -> Reply:
        return html(LOGIN_PAGE)
