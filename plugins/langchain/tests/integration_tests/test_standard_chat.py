"""LangChain's standard suite for `ChatPilotlight`: all well, and with the primary out."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_pilotlight import ChatPilotlight

from ..conftest import config
from .suites import Suite, providers  # noqa: F401

pytestmark = pytest.mark.usefixtures("no_downloads")


class ChatSuite(Suite, ChatModelIntegrationTests):
    via: ClassVar[str | None] = None  # straight to the server, where litellm would change nothing

    @property
    def chat_model_class(self) -> type[ChatPilotlight]:
        return ChatPilotlight

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"route": "chat", "config": config(self.server, self.via)}

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
    def supports_model_override(self) -> bool:
        return False  # which model answers is the route's affair


class TestHealthy(ChatSuite):
    pass


class TestOutage(ChatSuite):
    outage = True


class TestHealthyThroughLiteLLM(TestHealthy):
    via = "litellm"


class TestOutageThroughLiteLLM(TestOutage):
    via = "litellm"


class TestByTools(ChatSuite):
    """The other way to structured output."""

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "function_calling"}
