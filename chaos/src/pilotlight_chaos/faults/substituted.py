"""A good answer, by another model than was asked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Act

if TYPE_CHECKING:
    from ..answers import Answer, Ask


@dataclass(frozen=True, kw_only=True)
class Substituted(Act):
    kind = "substituted"
    about = "another model answers"
    spoils = False

    model: str = "another-model-1"  # what the answer says it was made by

    def alter(self, answer: Answer, ask: Ask) -> Answer:
        return dataclasses.replace(answer, model=self.model)
