"""The model has been taken out of service."""

from __future__ import annotations

from .base import WithStatus


class Retired(WithStatus):
    kind = "retired"
    about = "model retired (404; 400 and 410 forms)"
