"""Money or allowance is used up: waiting does not help."""

from __future__ import annotations

from .base import WithStatus


class Quota(WithStatus):
    kind = "quota"
    about = "money or allowance is used up"
