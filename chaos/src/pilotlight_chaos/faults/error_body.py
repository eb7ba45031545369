"""An error object under status 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Act, Provider

if TYPE_CHECKING:
    from ..answers import Ask
    from ..http import Json


class ErrorBody(Act):
    kind = "error_body"
    about = "200 with an error object"

    def instead(self, provider: Provider, ask: Ask, body: str) -> Json:
        return provider.error_in_200(ask)
