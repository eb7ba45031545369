"""The local model does not fit into the memory that is left."""

from __future__ import annotations

from .base import OLLAMA, Refusal


class OutOfMemory(Refusal):
    kind = "oom"
    about = "500, out of memory at load"
    dialects = OLLAMA
