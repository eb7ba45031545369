"""The key has been revoked."""

from __future__ import annotations

from .base import Refusal


class Auth(Refusal):
    kind = "auth"
    about = "the key is not valid (401; Gemini 400)"
