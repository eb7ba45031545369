"""litellm speaks over our wire: exactly one request in each shape, and the tap saw it.

Long, because each provider is proven in each shape against a server of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before litellm is imported

import litellm
import openai

from pilotlight.core.provider import Timeouts
from pilotlight.providers.litellm import clients
from pilotlight.providers.litellm.clients import kind_of, litellm_client
from pilotlight.wire.pool import Pool
from pilotlight.wire.tap import Tap, Wire, current_tap

litellm.disable_hf_tokenizer_download = True
litellm.suppress_debug_info = True
litellm.telemetry = False
# Of a model that it does not know, litellm asks Ollama behind our back, from a logging thread.
litellm.register_model(
    {
        f"{prefix}/some-model": {
            "litellm_provider": prefix,
            "mode": "chat",
            "max_tokens": 4096,
            "input_cost_per_token": 0.0,
            "output_cost_per_token": 0.0,
        }
        for prefix in ("ollama", "ollama_chat")
    }
)

# litellm's own habits are not what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def openai_events() -> Iterator[dict[str, Any]]:
    for delta, finish in (({"role": "assistant", "content": ""}, None), ({"content": "hi"}, None)):
        yield {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def openai_answer(stream: bool) -> str:
    shared = {"id": "x", "created": 1, "model": "m"}
    if stream:
        events = ({**shared, "object": "chat.completion.chunk", **e} for e in openai_events())
        return "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "hi"},
        "finish_reason": "stop",
    }
    return json.dumps(
        {
            **shared,
            "object": "chat.completion",
            "choices": [choice],
            "usage": USAGE,
            "service_tier": "auto",
        }
    )


def completion_answer(stream: bool) -> str:
    choice = {"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}
    answer = {"id": "x", "object": "text_completion", "created": 1, "model": "m"}
    body = json.dumps({**answer, "choices": [choice], "usage": USAGE})
    return f"data: {body}\n\ndata: [DONE]\n\n" if stream else body


def anthropic_answer(stream: bool) -> str:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "c"}
    if not stream:
        content = [{"type": "text", "text": "hi"}]
        return json.dumps(
            {**message, "content": content, "stop_reason": "end_turn", "usage": usage}
        )
    message |= {"content": [], "stop_reason": None, "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)


def gemini_answer(stream: bool) -> str:
    content = {"parts": [{"text": "hi"}], "role": "model"}
    counts = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    body = json.dumps(
        {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": counts}
    )
    return f"data: {body}\r\n\r\n" if stream else body


def ollama_answer(_stream: bool) -> str:
    message = {"role": "assistant", "content": "hi"}
    answer = {"model": "some-model", "created_at": "2026-01-01T00:00:00Z", "message": message}
    return json.dumps({**answer, "response": "hi", "done": True, "done_reason": "stop"}) + "\n"


ANSWERS = {
    "messages": anthropic_answer,
    "enerateContent": gemini_answer,
    "/api/": ollama_answer,
    "chat/completions": openai_answer,
    "/completions": completion_answer,
}


class Handler(BaseHTTPRequestHandler):
    """Answers in the dialect of the path, and remembers the path."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.path)
        stream = b'"stream": true' in body or b'"stream":true' in body or "stream" in self.path
        answer = next(make for mark, make in ANSWERS.items() if mark in self.path)(stream).encode()
        kind = "text/event-stream" if answer[:1] in b"de" else "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Loopback, with the paths it was asked for."""

    block_on_close = False
    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), type("_Handler", (Handler,), {"seen": self.seen}))
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    gc.collect()  # the loops that litellm leaves open are to be told of here, not in other tests


WIRES: dict[str, Wire] = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
    "ollama_chat": "ollama",
}
MODELS = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-pro"}
PROVIDERS = [
    "anthropic",
    "azure",
    "azure_ai",
    "azure_text",
    "cerebras",
    "custom_openai",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "hosted_vllm",
    "huggingface",
    "llamafile",
    "lm_studio",
    "mistral",
    "nvidia_nim",
    "ollama",
    "ollama_chat",
    "openai",
    "openrouter",
    "perplexity",
    "text-completion-openai",
    "together_ai",
    "xai",
]


async def _acompletion(options: dict[str, Any], *, stream: bool) -> list[Any]:
    answer = await litellm.acompletion(**options)
    return [chunk async for chunk in answer] if stream else [answer]


def call(options: dict[str, Any], *, stream: bool, asynchronous: bool) -> list[Any]:
    if asynchronous:
        return asyncio.run(_acompletion(options, stream=stream))
    answer = litellm.completion(**options)
    return list(answer) if stream else [answer]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("bound", [False, True], ids=["pool", "bound"])
def test_one_request_and_it_is_ours(
    server: Server, provider: str, asynchronous: bool, stream: bool, bound: bool
) -> None:
    """A client of the wrong kind would be ignored silently, and the call go unwatched."""
    server.seen.clear()
    wire = WIRES.get(provider, "openai")
    base = server.url if wire != "openai" or "azure" in provider else f"{server.url}/v1"
    pool = Pool(server.url, wire=wire)
    tap = Tap(wire, Timeouts())
    source = (pool.abound(tap) if asynchronous else pool.bound(tap)) if bound else pool
    options: dict[str, Any] = {
        "model": f"{provider}/{MODELS.get(provider, 'some-model')}",
        "messages": [{"role": "user", "content": "hi"}],
        "api_key": "k",
        "api_base": base,
        "num_retries": 0,
        "max_retries": 0,
        "stream": stream,
        "api_version": "2024-10-21" if provider in ("azure", "azure_text") else None,
        "client": litellm_client(
            source,
            provider,
            asynchronous=asynchronous,
            api_key="k",
            base_url=base,
            api_version="2024-10-21",
        ),
    }
    token = current_tap.set(None if bound else tap)
    try:
        chunks = call(options, stream=stream, asynchronous=asynchronous)
    finally:
        current_tap.reset(token)
        pool.close()
    assert chunks
    assert len(server.seen) == 1
    assert (tap.requests, tap.status, tap.terminal) == (1, 200, True)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_foreign_host_is_refused_and_not_tried_again(
    server: Server, provider: str, asynchronous: bool
) -> None:
    """litellm's async handler would retry a connection error over a client of its own."""
    server.seen.clear()
    pool = Pool("http://localhost:1", wire="openai")
    tap = Tap("openai", Timeouts())
    token = current_tap.set(tap)
    options = {
        "model": f"{provider}/some-model",
        "messages": [{"role": "user", "content": "hi"}],
        "api_key": "k",
        "api_base": server.url,
        "num_retries": 0,
        "max_retries": 0,
        "client": litellm_client(
            pool, provider, asynchronous=asynchronous, api_key="k", base_url=server.url
        ),
    }
    with pytest.raises(openai.APIError):
        call(options, stream=False, asynchronous=asynchronous)
    current_tap.reset(token)
    assert tap.refused_host == "127.0.0.1"
    assert server.seen == []


def test_a_pool_keeps_what_was_made_for_it() -> None:
    """One object for each kind, colour and key; a bound client gets a new one each time."""
    pool = Pool("http://localhost:1", wire="openai")

    def make(asynchronous: bool = False, key: str = "k", source: Any = pool) -> object:
        return litellm_client(
            source, "openai", asynchronous=asynchronous, api_key=key, base_url="http://localhost:1"
        )

    assert make() is make()
    assert make() is not make(key="other")
    assert isinstance(make(), openai.OpenAI)
    assert isinstance(make(asynchronous=True), openai.AsyncOpenAI)
    bound = pool.bound(Tap("openai", Timeouts()))
    assert make(source=bound) is not make(source=bound)


@pytest.mark.parametrize("provider", [*sorted(clients.UNWATCHED), "unheard_of"])
def test_no_client_where_litellm_takes_none(provider: str) -> None:
    """None says: this call cannot be watched."""
    pool = Pool("http://localhost:1", wire="other")
    assert kind_of(provider) is None
    assert litellm_client(pool, provider, asynchronous=False, api_key="k") is None


def test_the_tables_do_not_overlap() -> None:
    """Each provider has one kind."""
    tables = [getattr(clients, n) for n in ("OPENAI", "HANDLER", "AZURE", "UNWATCHED")]
    assert sum(map(len, tables)) == len(frozenset().union(*tables))


def test_a_finalized_handler_closes_nothing(server: Server) -> None:
    """Handlers of bound clients come and go with their attempts."""
    pool = Pool(server.url, wire="anthropic")
    client = pool.bound(Tap("anthropic", Timeouts()))
    handler: Any = litellm_client(client, "anthropic", asynchronous=False, api_key="k")
    handler.close()
    del handler
    answer = client.post(f"{server.url}/v1/messages", json={})
    assert isinstance(answer, httpx.Response)
    pool.close()
