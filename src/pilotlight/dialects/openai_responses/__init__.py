"""OpenAI's Responses API: POST /responses."""

from pilotlight.dialects.openai_responses.answer import read_answer, read_refusal
from pilotlight.dialects.openai_responses.request import write_request
from pilotlight.dialects.openai_responses.stream import Reader

__all__ = ["Reader", "name", "read_answer", "read_refusal", "reader", "write_request"]

name = "openai_responses"
reader = Reader
