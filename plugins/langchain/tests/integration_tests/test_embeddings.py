"""Embeddings: failover within one space, and never across."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import Embeddings

from langchain_pilotlight import AllTargetsFailed, guard_embeddings
from pilotlight import ConfigError

from ..conftest import local_embeddings, openai_embeddings


def test_a_fallback_without_a_space_is_refused(server):
    with pytest.raises(ConfigError, match="space="):
        guard_embeddings(openai_embeddings(server), local_embeddings(server))


async def test_the_same_space_elsewhere_answers(server):
    emb = guard_embeddings(openai_embeddings(server), local_embeddings(server), space="nomic")
    well = emb.embed_query("a cat")
    server.fault("primary", "server_error")
    assert emb.embed_query("a cat") == pytest.approx(well)
    assert await aembedded(emb) == pytest.approx(well)
    assert len(emb.embed_documents(["a", "b"])) == 2
    for _ in range(10):
        emb.embed_query("a cat")
    assert server.hits("primary") < 8


async def aembedded(emb):
    return await emb.aembed_query("a cat")


class Sized(Embeddings):
    def __init__(self, size):
        self.size = size
        self.model = f"sized-{size}"

    def embed_documents(self, texts):
        return [[0.5] * self.size for _ in texts]

    def embed_query(self, text):
        return [0.5] * self.size


def test_another_dimension_is_refused(server):
    emb = guard_embeddings(openai_embeddings(server), Sized(3), space="said to be the same")
    assert len(emb.embed_query("a")) == 8
    server.fault("primary", "server_error")
    with pytest.raises(AllTargetsFailed) as caught:
        emb.embed_query("a")
    assert caught.value.receipt.attempts[-1].fault == "malformed_response"


def test_private_texts_stay_at_home(server):
    emb = guard_embeddings(
        openai_embeddings(server), local_embeddings(server), space="nomic", private=True
    )
    assert emb.embed_query("secret")
    assert server.hits("primary") == 0
