"""The provider declines to answer: an error, or an answer that stops."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .base import HOSTED, Provider, WithStatus

if TYPE_CHECKING:
    from ..answers import Answer, Ask
    from ..http import Reply


class ContentFilter(WithStatus):
    kind = "content_filter"
    about = "400, or status=200: cut answer"
    dialects = HOSTED

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        return None if provider.filters_in_answer(self) else super().refuse(provider, ask)

    def alter(self, answer: Answer, ask: Ask) -> Answer:
        kept = answer.pieces[:1] if ask.stream else ()
        return dataclasses.replace(answer, pieces=kept, calls=(), finish="filter")
