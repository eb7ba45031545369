"""The local server has more to do than it can hold."""

from __future__ import annotations

from .base import OLLAMA, Refusal


class Busy(Refusal):
    kind = "busy"
    about = "503, queue full"
    dialects = OLLAMA
