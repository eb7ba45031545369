"""LangChain's standard suite for `guard_embeddings`: all well, and with the primary out."""

from __future__ import annotations

from typing import Any

from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from langchain_pilotlight import GuardedEmbeddings

from ..conftest import local_embeddings, openai_embeddings
from .suites import Suite, providers  # noqa: F401


class EmbeddingSuite(Suite, EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[GuardedEmbeddings]:
        return GuardedEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        models = (openai_embeddings(self.server), local_embeddings(self.server))
        return {"models": models, "space": "nomic"}


class TestHealthy(EmbeddingSuite):
    pass


class TestOutage(EmbeddingSuite):
    outage = True
