"""LangChain's standard unit suites: no network, and construction costs nothing."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from langchain_pilotlight import ChatPilotlight, GuardedChatModel, GuardedEmbeddings


class TestGuard(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return GuardedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        primary = ChatOpenAI(model="gpt-4o", api_key="k", temperature=0, max_tokens=9)
        return {"primary": primary, "fallbacks": (ChatOllama(model="llama3.2"),)}

    @property
    def model_override_value(self) -> str:
        return "gpt-4o-mini"


class TestChatPilotlight(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatPilotlight

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"route": "chat"}


class TestEmbeddings(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return GuardedEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        hosted = OpenAIEmbeddings(model="bge-m3", api_key="k", base_url="http://127.0.0.1:9/v1")
        return {"models": (hosted, OllamaEmbeddings(model="bge-m3")), "space": "bge-m3"}
