"""Two providers on loopback, and a process that knows nothing at the start of each test."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import pilotlight
from pilotlight import testing
from pilotlight_chaos import ChaosServer

FOREIGN = ("PILOTLIGHT_CONFIG", "OLLAMA_HOST", "OPENAI_API_KEY", "OPENAI_BASE_URL")
LOCAL = "llama3.2:3b"


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PILOTLIGHT_BACKGROUND", "off")
    monkeypatch.setenv("PILOTLIGHT_TELEMETRY", "off")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    testing.reset()
    yield
    pilotlight.listeners.clear()
    testing.reset()


@pytest.fixture
def server() -> Iterator[ChaosServer]:
    with ChaosServer(models=[LOCAL]) as running:
        yield running


@pytest.fixture
def primary(server: ChaosServer) -> ChatOpenAI:
    return openai(server)


@pytest.fixture
async def plain(server: ChaosServer) -> AsyncIterator[ChatOpenAI]:
    """The same without retries, for LangChain's own constructs, which use its own sockets."""
    model = openai(server, max_retries=0)
    yield model
    model.root_client.close()
    await model.root_async_client.close()


@pytest.fixture
async def local(server: ChaosServer) -> AsyncIterator[ChatOllama]:
    model = ollama(server)
    yield model
    model._client._client.close()
    await model._async_client._client.aclose()


def openai(server: ChaosServer, **kwargs: object) -> ChatOpenAI:
    """The closed model: over real HTTP, at the name `primary`."""
    given = {"model": "gpt-4o", "api_key": "sk-test", "stream_usage": True, **kwargs}
    return ChatOpenAI(base_url=f"{server.base('primary')}/v1", **given)


def ollama(server: ChaosServer, **kwargs: object) -> ChatOllama:
    """The local model: over real HTTP, at the name `local`."""
    return ChatOllama(**{"model": LOCAL, "base_url": server.base("local"), **kwargs})


class Media:
    """What langchain-tests would download from the web: it is given a few bytes instead."""

    status_code = 200
    content = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk")

    def raise_for_status(self) -> Media:
        return self


@pytest.fixture
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "get", lambda *_args, **_kwargs: Media())
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nobody is asked")


def config(server: ChaosServer, via: str | None = None) -> dict[str, object]:
    """The same two, as pilotlight's own configuration has them; `via` litellm, or straight."""
    return {
        "targets": {
            "gpt": {
                "model": "openai/gpt-4o",
                "api_base": f"{server.base('primary')}/v1",
                "api_key": "sk-test",
                "via": via,
            },
            "local": {"model": f"ollama/{LOCAL}", "api_base": server.base("local")},
        },
        "routes": {"chat": {"targets": ["gpt", "local"]}},
    }


def openai_embeddings(server: ChaosServer, **kwargs: object) -> OpenAIEmbeddings:
    """The hosted embeddings; they tokenize by themselves only for OpenAI's own models."""
    given = {"model": "nomic-embed-text", "api_key": "sk-test", **kwargs}
    base = f"{server.base('primary')}/v1"
    return OpenAIEmbeddings(base_url=base, check_embedding_ctx_length=False, **given)


def local_embeddings(server: ChaosServer, **kwargs: object) -> OllamaEmbeddings:
    """The same model at home."""
    return OllamaEmbeddings(**{"model": LOCAL, "base_url": server.base("local"), **kwargs})
