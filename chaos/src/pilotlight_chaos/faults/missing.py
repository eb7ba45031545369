"""The local model is not there."""

from __future__ import annotations

from .base import OfModel


class Missing(OfModel):
    kind = "missing"
    about = "the model is not installed"
