"""A name that looks local, and runs on somebody else's computer."""

from __future__ import annotations

from .base import OfModel


class CloudStub(OfModel):
    kind = "cloud_stub"
    about = "a local-looking name runs in a cloud"
