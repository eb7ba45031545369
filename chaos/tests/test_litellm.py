"""litellm takes the server for the real thing, by each of its prefixes."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pilotlight_chaos import ChaosServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # litellm's own imports warn
    litellm = pytest.importorskip("litellm")

pytestmark = pytest.mark.filterwarnings("ignore")

MODELS = {
    "openai/gpt-4o": "/v1",
    "anthropic/claude-sonnet-4-5": "",
    "gemini/gemini-2.5-flash": "/v1beta",
    "mistral/mistral-large-latest": "/v1",
    "ollama_chat/llama3.2:3b": "",
}
TEXT = "one two three four five"


def call(server: ChaosServer, model: str, text: str = "hi", **options: Any) -> Any:
    return litellm.completion(
        model=model,
        api_base=server.base("primary") + MODELS[model],
        api_key="k",
        num_retries=0,
        max_retries=0,
        timeout=5,
        messages=[{"role": "user", "content": text}],
        **options,
    )


@pytest.mark.parametrize("model", MODELS)
def test_plain(server: ChaosServer, model: str) -> None:
    reply = call(server, model)
    assert reply.choices[0].message.content == TEXT
    assert reply.usage.completion_tokens == 5
    assert server.hits("primary") == 1


@pytest.mark.parametrize("model", MODELS)
def test_stream(server: ChaosServer, model: str) -> None:
    chunks = list(call(server, model, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", [m for m in MODELS if not m.startswith("ollama")])
def test_tool(server: ChaosServer, model: str) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    try:
        reply = call(server, model, "use the tool for 'Rome'", tools=[tool])
    except ModuleNotFoundError as error:  # litellm wants `mcp` for tools and does not say so
        pytest.skip(str(error))
    assert reply.choices[0].message.tool_calls[0].function.arguments.replace(" ", "") == (
        '{"city":"Rome"}'
    )


def test_a_rate_limit_arrives_as_one(server: ChaosServer) -> None:
    server.fault("primary", "rate_limit", retry_after=30)
    with pytest.raises(litellm.RateLimitError):
        call(server, "openai/gpt-4o")
    assert server.requests("primary")[0].fault == "rate_limit"
