"""An error object under status 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Act

if TYPE_CHECKING:
    from ..answers import Ask
    from ..dialects import Dialect
    from ..http import Json


class ErrorBody(Act):
    kind = "error_body"
    about = "200 with an error object"

    def instead(self, dialect: Dialect, ask: Ask, body: str) -> Json:
        return dialect.error_in_200(ask)
