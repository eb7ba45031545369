"""Up, down, up, down: an endpoint that cannot make up its mind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Act, Provider
from .status import Unavailable
from .values import FaultError

if TYPE_CHECKING:
    from ..answers import Ask
    from ..http import Reply


@dataclass(frozen=True, kw_only=True)
class Flapping(Act):
    kind = "flapping"
    about = "503 for `down` seconds, fine for `up` seconds, and again"

    down: float = 5.0  # seconds; it begins with this
    up: float = 5.0  # seconds

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule is not None:
            raise FaultError("fault 'flapping': up and down are its schedule")

    def active(self, elapsed: float) -> bool:
        return elapsed % (self.down + self.up) < self.down

    def refuse(self, provider: Provider, ask: Ask) -> Reply | None:
        return Unavailable().refuse(provider, ask)
