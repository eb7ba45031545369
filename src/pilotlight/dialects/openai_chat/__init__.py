"""OpenAI's chat completions, POST /chat/completions, and the many servers that speak it."""

from pilotlight.dialects.openai_chat.answer import LAST_WORD, Reader, read_answer, read_refusal
from pilotlight.dialects.openai_chat.caller import (
    Writer,
    read_request,
    write_answer,
    write_refusal,
)
from pilotlight.dialects.openai_chat.manners import (
    MANNERS,
    Manner,
    is_particular,
    manner_of,
)
from pilotlight.dialects.openai_chat.request import is_usual, write_request

__all__ = [
    "LAST_WORD",
    "MANNERS",
    "Manner",
    "Reader",
    "Writer",
    "is_particular",
    "is_usual",
    "manner_of",
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

name = "openai_chat"
reader = Reader
writer = Writer
