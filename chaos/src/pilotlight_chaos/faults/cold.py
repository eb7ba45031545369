"""The local model must be loaded first."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Standing


@dataclass(frozen=True, kw_only=True)
class Cold(Standing):
    kind = "cold"
    about = "must load first; a client that leaves aborts it"

    seconds: float = 3.0  # what loading takes
