"""Ollama's native chat, POST /api/chat: its `/v1` can't set the context's length."""

from pilotlight.dialects.ollama.answer import Reader, read_answer, read_refusal
from pilotlight.dialects.ollama.caller import Writer, read_request, write_answer, write_refusal
from pilotlight.dialects.ollama.request import write_request

__all__ = [
    "Reader",
    "Writer",
    "name",
    "read_answer",
    "read_refusal",
    "read_request",
    "reader",
    "write_answer",
    "write_refusal",
    "write_request",
    "writer",
]

name = "ollama"
reader = Reader
writer = Writer
