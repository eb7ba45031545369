"""LangChain's standard suite for `guard`: all well, and with the primary out for everything."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_pilotlight import GuardedChatModel

from ..conftest import ollama, openai
from .suites import Suite, providers  # noqa: F401

# gpt-4o's own profile says that it takes no sound; then it would not be asked.
HEARS = {"audio_inputs": True, "tool_calling": True}

pytestmark = pytest.mark.usefixtures("no_downloads")


class GuardSuite(Suite, ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[GuardedChatModel]:
        return GuardedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "primary": openai(self.server, temperature=0, max_tokens=100, profile=HEARS),
            "fallbacks": (ollama(self.server, temperature=0),),
        }

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return not self.outage  # Ollama takes text and images; `test_defects` has the refusal

    @property
    def supports_pdf_tool_message(self) -> bool:
        return not self.outage

    @property
    def supports_audio_inputs(self) -> bool:
        return not self.outage

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "gpt-4o-mini"

    @property
    def supports_model_override(self) -> bool:
        return not self.outage  # it is the primary's model that `model=` names


class TestHealthy(GuardSuite):
    pass


class TestOutage(GuardSuite):
    outage = True
