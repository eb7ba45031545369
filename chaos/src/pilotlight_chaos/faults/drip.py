"""A slow drip: every byte comes, but few at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .base import Delay, Pace


@dataclass(frozen=True, kw_only=True)
class Drip(Delay):
    kind = "drip"
    about = "the answer, head and all, at few bytes a second"

    bytes_per_second: float = 200.0

    def pace(self, dice: random.Random) -> Pace:
        return Pace(bandwidth=self.bytes_per_second)
