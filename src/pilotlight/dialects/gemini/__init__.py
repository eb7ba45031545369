"""Google's Gemini API: `models/NAME:generateContent` and `:streamGenerateContent?alt=sse`."""

from pilotlight.dialects.gemini.answer import read_answer, read_refusal
from pilotlight.dialects.gemini.request import write_request
from pilotlight.dialects.gemini.stream import Reader

__all__ = ["Reader", "name", "read_answer", "read_refusal", "reader", "write_request"]

name = "gemini"
reader = Reader
