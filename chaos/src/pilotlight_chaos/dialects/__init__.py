"""The provider interfaces that the server speaks: one module each."""

from __future__ import annotations

from .anthropic import Anthropic
from .automatic1111 import Automatic1111
from .base import Dialect, Refused
from .gemini import Gemini
from .ollama import Ollama
from .ollama_openai import OllamaOpenAI
from .openai import OpenAI
from .openai_responses import OpenAIResponses

__all__ = [
    "Anthropic",
    "Automatic1111",
    "Dialect",
    "Gemini",
    "Ollama",
    "OllamaOpenAI",
    "OpenAI",
    "OpenAIResponses",
    "Refused",
]
