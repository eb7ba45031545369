"""Anthropic's Messages API: POST /v1/messages."""

from pilotlight.dialects.anthropic_messages.answer import read_answer, read_refusal
from pilotlight.dialects.anthropic_messages.request import write_request
from pilotlight.dialects.anthropic_messages.stream import Reader

__all__ = ["Reader", "name", "read_answer", "read_refusal", "reader", "write_request"]

name = "anthropic_messages"
reader = Reader
