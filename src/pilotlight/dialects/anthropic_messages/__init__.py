"""Anthropic's Messages API: POST /v1/messages."""

from pilotlight.dialects.anthropic_messages.answer import read_answer, read_refusal
from pilotlight.dialects.anthropic_messages.caller import (
    read_request,
    write_answer,
    write_refusal,
)
from pilotlight.dialects.anthropic_messages.request import write_request
from pilotlight.dialects.anthropic_messages.stream import Reader
from pilotlight.dialects.anthropic_messages.writer import Writer

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

name = "anthropic_messages"
reader = Reader
writer = Writer
