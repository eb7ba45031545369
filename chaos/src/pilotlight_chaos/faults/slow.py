"""Latency, with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .base import Delay, Pace


@dataclass(frozen=True, kw_only=True)
class Slow(Delay):
    kind = "slow"
    about = "waits, then answers"

    seconds: float = 1.0  # before the answer
    jitter: float = 0.0  # seconds, up to which each wait is longer or shorter
    per_token: float = 0.0  # seconds, and before each token of a stream

    def pace(self, dice: random.Random) -> Pace:
        swing = dice.uniform(-self.jitter, self.jitter) if self.jitter else 0.0
        return Pace(before=max(0.0, self.seconds + swing), token=self.per_token)
