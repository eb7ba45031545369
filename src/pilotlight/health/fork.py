"""The gate between forks and background threads; its home is the core."""

from __future__ import annotations

from pilotlight.core.fork import GATE, Gate

__all__ = ["GATE", "Gate"]
