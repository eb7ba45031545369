"""A success that says nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Act, Provider
from .values import FaultError

if TYPE_CHECKING:
    from ..answers import Answer, Ask
    from ..http import Json


@dataclass(frozen=True, kw_only=True)
class Empty(Act):
    kind = "empty"
    about = "200 with an empty answer"

    what: str = "content"  # "content": an answer without text; "choices": no answer at all

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.what not in ("content", "choices"):
            raise FaultError(
                f'fault {self.kind!r}: what is "content" or "choices", not {self.what!r}'
            )

    def alter(self, answer: Answer, ask: Ask) -> Answer:
        return dataclasses.replace(answer, pieces=(), calls=(), thinking="", finish="stop")

    def instead(self, provider: Provider, ask: Ask, body: str) -> Json | None:
        return provider.nothing(ask) if self.what == "choices" else None
