"""The process that runs the local model died."""

from __future__ import annotations

from .base import OLLAMA, Refusal


class Crash(Refusal):
    kind = "crash"
    about = "500, the runner died"
    dialects = OLLAMA
