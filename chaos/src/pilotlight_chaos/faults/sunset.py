"""A good answer whose headers announce the model's end, as gateways and Mistral send them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from .base import HOSTED, Act

DAY = 86_400  # seconds


@dataclass(frozen=True, kw_only=True)
class Sunset(Act):
    kind = "sunset"
    about = "a good answer with Deprecation and Sunset headers"
    dialects = HOSTED
    spoils = False

    days: float = 30.0  # from now until the model's end

    def headers(self) -> Mapping[str, str]:
        now = time.time()  # a date for people: no schedule depends on it
        return {
            "deprecation": f"@{now:.0f}",
            "sunset": formatdate(now + self.days * DAY, usegmt=True),
        }
