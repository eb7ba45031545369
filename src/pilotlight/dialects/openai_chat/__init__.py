"""OpenAI's chat completions, POST /chat/completions, and the many servers that speak it."""

from pilotlight.dialects.openai_chat.answer import LAST_WORD, Reader, read_answer, read_refusal
from pilotlight.dialects.openai_chat.manners import MANNERS, Manner
from pilotlight.dialects.openai_chat.request import write_request

__all__ = [
    "LAST_WORD",
    "MANNERS",
    "Manner",
    "Reader",
    "name",
    "read_answer",
    "read_refusal",
    "reader",
    "write_request",
]

name = "openai_chat"
reader = Reader
