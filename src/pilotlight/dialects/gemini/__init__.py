"""Google's Gemini API: `models/NAME:generateContent` and `:streamGenerateContent?alt=sse`."""

from pilotlight.dialects.gemini.answer import read_answer, read_refusal
from pilotlight.dialects.gemini.caller import read_request, write_answer, write_refusal
from pilotlight.dialects.gemini.request import write_request
from pilotlight.dialects.gemini.stream import Reader
from pilotlight.dialects.gemini.writer import Writer

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

name = "gemini"
reader = Reader
writer = Writer
