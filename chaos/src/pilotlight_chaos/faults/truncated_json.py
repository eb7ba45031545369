"""Half a document, under status 200 and with the right length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Act, Provider

if TYPE_CHECKING:
    from ..answers import Ask


class TruncatedJson(Act):
    kind = "truncated_json"
    about = "200 with half a JSON document"

    def instead(self, provider: Provider, ask: Ask, body: str) -> str:
        return body[: len(body) // 2]
