"""OpenAI's Responses API: POST /responses."""

from pilotlight.dialects.openai_chat.caller import write_refusal
from pilotlight.dialects.openai_responses.answer import read_answer, read_refusal
from pilotlight.dialects.openai_responses.caller import read_request, write_answer
from pilotlight.dialects.openai_responses.request import write_request
from pilotlight.dialects.openai_responses.stream import Reader
from pilotlight.dialects.openai_responses.writer import Writer

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

name = "openai_responses"
reader = Reader
writer = Writer
